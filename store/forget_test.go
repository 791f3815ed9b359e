package store_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

// canary is a customer's id, cell or file name that must not be found anywhere once it is gone.
const canary = "CANARY-7d1e"

func (b bench) find() string {
	b.Helper()
	return strings.Join(storetest.Find(b, b.url, canary), " ")
}

func (b bench) forgetEnded() {
	b.Helper()
	if err := b.Upkeep.ForgetEnded(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// comparing is a summary that quotes another prediction.
func comparing(previous uuid.UUID) []byte {
	return fmt.Appendf(nil, `{"mean": 0.5, "changes": {"status": "compared", "previous": {"prediction_id": %q,
		"filename": %q}, "risen": [{"row": 1, "before": 0.25, "explanation": %q}]}}`, previous, canary, canary)
}

// wantForgotten wants the comparison of a prediction gone and the rest of its summary kept.
func (b bench) wantForgotten(p store.Prediction) {
	b.Helper()
	var summary struct {
		Mean    float64
		Changes map[string]any
	}
	if err := json.Unmarshal(b.reload(p).Summary, &summary); err != nil {
		b.Fatal(err)
	}
	previous, there := summary.Changes["previous"]
	if summary.Mean != 0.5 || len(summary.Changes) != 2 || !there || previous != nil ||
		summary.Changes["status"] != "previous_unavailable" {
		b.Errorf("%+v", summary)
	}
}

// A summary that quotes a prediction loses it with the prediction, also if it is published later.
func TestComparisonsAreForgotten(t *testing.T) {
	for name, remove := range map[string]func(b bench, p store.Prediction){
		"deleted": func(b bench, p store.Prediction) {
			if err := b.Predictions.Delete(ctx(), b.user.ID, p.ID); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(b bench, p store.Prediction) {
			b.aged(p, 91)
			if n, err := b.Upkeep.Expire(ctx(), 90*24*time.Hour); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, o := newBench(t, store.Config{}), directory(t)
			first, other := b.scored(10), b.scored(10)
			publish := func(p store.Prediction, previous uuid.UUID) {
				err := b.Ledger.Finish(ctx(), b.mustScore(b.claim("w")), store.Result{Summary: comparing(previous)})
				if err != nil {
					t.Fatal(err)
				}
			}
			early := b.upload(10)
			publish(early, first.ID)
			remove(b, first)
			if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			b.wantForgotten(early)
			late := b.upload(10) // was compared before, and is published only now
			publish(late, first.ID)
			b.exec(`UPDATE deletions SET due_at = clock_timestamp()`)
			if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			b.wantForgotten(late)
			wantEqual(t, "left in", b.find(), "")
			kept := b.upload(10)
			publish(kept, other.ID)
			if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(b.reload(kept).Summary), canary) {
				t.Error("a comparison with a prediction that is still there was removed")
			}
		})
	}
}

// An error may quote a cell. When the results expire only its code is kept.
func TestExpire_ErrorsLoseCells(t *testing.T) {
	b := newBench(t, store.Config{AttemptsMax: 2})
	failure := store.Failure{
		Code: "ERR-1016", Stage: "score", Chunk: 3, Message: "'" + canary + "' can be read in two ways",
		Details: []byte(`{"value": "` + canary + `"}`),
	}
	dead, failed := b.upload(10), b.upload(10)
	for range 2 {
		b.exec(`UPDATE prediction_parts SET lease_until = '-infinity'`)
		if err := b.Ledger.FailPart(t.Context(), b.claim("w"), failure); err != nil {
			t.Fatal(err)
		}
	}
	failure.Permanent = true
	b.exec(`UPDATE prediction_parts SET lease_until = '-infinity'`)
	for b.reload(failed).Status != store.Failed {
		if err := b.Ledger.FailPart(t.Context(), b.claim("w"), failure); err != nil {
			t.Fatal(err)
		}
	}
	for _, place := range []string{"prediction_failures.error", "prediction_parts.error", "predictions.error"} {
		if got := b.find(); !strings.Contains(got, place) {
			t.Fatalf("before: only %q", got)
		}
	}
	b.exec(`UPDATE predictions SET status = 'dead' WHERE id = $1 AND status <> 'dead'`, dead.InternalID)
	b.aged(dead, 91)
	b.aged(failed, 91)
	b.exec(`UPDATE predictions SET finished_at = '2020-01-01' WHERE finished_at IS NULL`)
	if n, err := b.Upkeep.Expire(t.Context(), 90*24*time.Hour); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	wantEqual(t, "left in", b.find(), "")
	got := b.reload(failed).Error
	if got == nil {
		t.Fatal("no error")
	}
	if want := (store.Failure{Code: "ERR-1016", Stage: "score", Chunk: 3, Permanent: true}); !reflect.DeepEqual(*got, want) {
		t.Errorf("error %+v", *got)
	}
}

// Parts whose prediction ended without a summary of its own lose theirs in batches; those that will be joined keep it.
func TestForgetEnded(t *testing.T) {
	b := newBench(t, store.Config{})
	open, joining, failed, retried := b.upload(10), b.upload(10), b.upload(10), b.upload(10)
	b.exec(`UPDATE predictions SET status = 'running' WHERE id = $1`, open.InternalID)
	b.exec(`UPDATE predictions SET status = 'cancelled', finish_due = true WHERE id = $1`, joining.InternalID)
	b.exec(`UPDATE predictions SET status = 'failed' WHERE id = ANY ($1)`, []int64{failed.InternalID, retried.InternalID})
	if err := b.Upkeep.Retry(t.Context(), retried.ID, store.Model{}); err != nil {
		t.Fatal(err)
	}
	b.exec(`INSERT INTO prediction_parts (prediction_id, generation, part_no, byte_offset, first_row, first_line)
		SELECT $1, 1, n, 0, 1, 1 FROM generate_series(1, 1200) n`, failed.InternalID)
	b.exec(`UPDATE prediction_parts SET summary = $1, warnings = '[]'`, []byte(`{"id": "`+canary+`"}`))
	const left = `SELECT coalesce(string_agg(DISTINCT prediction_id || '/' || generation, ' '), '') FROM prediction_parts
		WHERE summary IS NOT NULL OR warnings IS NOT NULL`
	b.forgetEnded()
	want := []string{
		fmt.Sprint(open.InternalID, "/1"), fmt.Sprint(joining.InternalID, "/1"), fmt.Sprint(retried.InternalID, "/2"),
	}
	slices.Sort(want)
	wantEqual(t, "parts with a summary", ask[string](b, left), strings.Join(want, " "))
}

// What versions before this one left of predictions that are gone is removed once, and not what is still needed.
func TestForgetEnded_EarlierVersions(t *testing.T) {
	b := newBench(t, store.Config{})
	gone := store.NewID()
	expired, previous, orphaned, kept := b.scored(10), b.scored(10), b.scored(10), b.scored(10)
	b.exec(`INSERT INTO predictions (public_id, upload_id, user_id, status)
		SELECT gen_random_uuid(), upload_id, user_id, 'completed' FROM predictions, generate_series(1, 150)`)
	quoting := b.scored(10) // beyond the first batch
	b.exec(`ALTER TABLE predictions DISABLE TRIGGER note_comparison`)
	b.exec(`UPDATE predictions SET results_deleted_at = clock_timestamp(), summary = NULL, error = $2 WHERE id = $1`,
		expired.InternalID, []byte(`{"code": "ERR-1016", "message": "`+canary+`", "details": {"value": "`+canary+`"}}`))
	for id, of := range map[int64]uuid.UUID{
		orphaned.InternalID: gone, quoting.InternalID: expired.ID, kept.InternalID: previous.ID,
	} {
		b.exec(`UPDATE predictions SET summary = $2 WHERE id = $1`, id, comparing(of))
	}
	b.exec(`ALTER TABLE predictions ENABLE TRIGGER note_comparison`)
	b.exec(`INSERT INTO cleanup (next_id) SELECT min(id) FROM predictions`)
	b.forgetEnded()
	b.wantForgotten(orphaned)
	b.wantForgotten(quoting)
	wantEqual(t, "error", b.reload(expired).Error.Code, "ERR-1016")
	wantEqual(t, "left to do", ask[int](b, `SELECT count(*)::int FROM cleanup`), 0)
	if !strings.Contains(string(b.reload(kept).Summary), canary) {
		t.Error("a comparison with a prediction that is still there was removed")
	}
	if err := b.Predictions.Delete(t.Context(), b.user.ID, previous.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Upkeep.SweepDeletions(t.Context(), directory(t)); err != nil {
		t.Fatal(err)
	}
	b.wantForgotten(kept) // the trigger's column was filled
	wantEqual(t, "left in", b.find(), "")
}

// A dropped file stays when the results expire, and goes with the prediction, also right after they expired.
func TestDeleteDroppedFile_Expired(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	putAll(t, o, "inbox/user_1/"+canary+".csv")
	file := b.droppedInto(o, "inbox/user_1/"+canary+".csv")
	p, _, err := b.Predictions.EnqueueObject(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	b.exec(`UPDATE predictions SET status = 'completed', finished_at = '2020-01-01'`)
	if n, err := b.Upkeep.Expire(t.Context(), time.Hour); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	sweep := func() {
		if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	wantEqual(t, "files after the expiry", len(keysOf(t, o)), 1)
	if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		sweep()
		wantEqual(t, "files after the deletion", len(keysOf(t, o)), 0)
		b.exec(`UPDATE deletions SET due_at = clock_timestamp()`)
	}
	wantEqual(t, "left in", b.find(), "")
}
