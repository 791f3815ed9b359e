package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

func (b bench) scored(rows int64) store.Prediction {
	b.Helper()
	p := b.upload(rows)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		b.Fatal(err)
	}
	return b.reload(p)
}

// aged moves the end of a prediction into the past.
func (b bench) aged(p store.Prediction, days int) {
	b.Helper()
	b.exec(`UPDATE predictions SET finished_at = finished_at - $2 * interval '1 day' WHERE id = $1`, p.InternalID, days)
}

func TestResultsExpire(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	old, recent, running := b.scored(1500), b.scored(10), b.upload(10)
	b.aged(old, 91)
	b.aged(recent, 89)
	b.exec(`UPDATE predictions SET finished_at = '2020-01-01' WHERE id = $1`, running.InternalID)
	// A part that was scored before its prediction failed keeps its summary until then.
	b.exec(`UPDATE prediction_parts SET summary = '{"id": "A-1"}', warnings = '[]'`)
	kept := recent.ResultKey
	putAll(t, o, old.ResultKey, objects.InputKey(old.UploadID), kept)
	const retain = 90 * 24 * time.Hour
	var group sync.WaitGroup
	for range 4 { // every process may
		group.Go(func() {
			if _, err := b.Upkeep.Expire(ctx(), retain); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n, err := b.Upkeep.Expire(t.Context(), retain); n != 0 || err != nil {
		t.Errorf("again %d, %v", n, err)
	}
	gone := b.reload(old)
	if gone.ResultsDeletedAt == nil || gone.Summary != nil || gone.Status != store.Completed || gone.Scored != 1500 {
		t.Errorf("%+v", gone)
	}
	wantEqual(t, "others", b.reload(recent).ResultsDeletedAt == nil && b.reload(running).ResultsDeletedAt == nil, true)
	wantEqual(t, "parts that say something", ask[int](b, `SELECT count(*)::int FROM prediction_parts
		WHERE summary IS NOT NULL OR warnings IS NOT NULL`), 2)
	wantEqual(t, "blocks", ask[int](b, `SELECT count(DISTINCT prediction_id)::int FROM prediction_blocks`), 1)
	if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "objects", strings.Join(keysOf(t, o), " "), kept)
	b.exec(`UPDATE predictions SET status = 'cancelled' WHERE id = $1`, old.InternalID)
	wantErr(t, b.Upkeep.Retry(t.Context(), old.ID, store.Model{}), store.ErrConflict)
}

// A month is dropped as a whole when it is over and nothing in it is kept.
func TestMonthsAreDropped(t *testing.T) {
	b := newBench(t, store.Config{})
	for _, month := range []string{"2020_01", "2020_02"} {
		b.exec(`SELECT open_prediction_month(to_date('` + month + `', 'YYYY_MM'))`)
	}
	p := b.scored(10)
	b.exec(`
		WITH d AS (INSERT INTO predictions (id, public_id, upload_id, user_id, status, finished_at)
			OVERRIDING SYSTEM VALUE
			SELECT prediction_month_start('2020-02-01') + 5, gen_random_uuid(), upload_id, user_id, 'completed', '2020-02-02'
			FROM predictions WHERE id = $1 RETURNING id)
		INSERT INTO prediction_blocks (prediction_id, first_row, n, customer_ids, probability, risk_bands, band_rows)
		SELECT d.id, first_row, n, customer_ids, probability, risk_bands, band_rows FROM d, prediction_blocks WHERE prediction_id = $1`, p.InternalID)
	months := func() string {
		return ask[string](b, `
			SELECT coalesce(string_agg(inhrelid::regclass::text, ' ' ORDER BY 1), '') FROM pg_inherits
			WHERE inhparent = 'prediction_blocks'::regclass AND inhrelid::regclass::text LIKE '%2020%'`)
	}
	if _, err := b.Upkeep.Expire(t.Context(), 100*365*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "months with rows", months(), "prediction_blocks_2020_02")
	if _, err := b.Upkeep.Expire(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "months", months(), "")
	wantEqual(t, "this month's rows", ask[int](b, `SELECT count(*)::int FROM prediction_rows`), 10)
}

func TestOrphansAreSwept(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	p := b.scored(10)
	stray := store.NewID()
	link := store.UploadLink{ID: store.NewID(), UserID: b.user.ID, Bytes: 1, Options: []byte("{}")}
	taken := store.UploadLink{ID: store.NewID(), UserID: b.user.ID, Bytes: 1, Options: []byte("{}")}
	for _, l := range []*store.UploadLink{&link, &taken} {
		if err := b.UploadLinks.Create(t.Context(), l, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.UploadLinks.Complete(t.Context(), taken, objects.Info{Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	kept := []string{
		store.DirectKey(link.ID), store.DirectKey(taken.ID), "direct/note.csv", "inbox/u/a.csv",
		"other/" + stray.String() + "/x", objects.ResultKey(p.ID, 1, objects.ResultName), "results/note/1/x", objects.InputKey(p.UploadID),
	}
	putAll(t, o, kept...)
	putAll(t, o, objects.InputKey(stray), objects.ResultKey(stray, 1, objects.ResultName),
		objects.ResultKey(p.ID, 2, objects.ResultName), objects.PartKey(stray, 1, 3, objects.ResultName), store.DirectKey(stray),
		store.DirectKey(p.UploadID)) // it has been copied
	w := b.owner(o)
	// Known objects that are not needed are deleted at once, unknown ones one sweep later.
	for _, sweep := range []struct {
		age  time.Duration
		want int
	}{{time.Hour, 0}, {0, 1}, {0, 5}, {0, 0}} {
		if n, err := w.SweepOrphans(t.Context(), sweep.age); n != sweep.want || err != nil {
			t.Errorf("older than %s: %d, want %d: %v", sweep.age, n, sweep.want, err)
		}
	}
	got := keysOf(t, o)
	for _, key := range kept {
		if !slices.Contains(got, key) {
			t.Errorf("swept %s", key)
		}
	}
	wantEqual(t, "left", len(got), len(kept))
}

// A worker that crashes after it has published leaves parts behind. They are deleted when no worker can be reading them:
// neither the parts that wait for their finisher, nor those of a prediction that has ended only now.
func TestSweepOrphans_PartsOfEndedPredictions(t *testing.T) {
	const day = 24 * time.Hour
	b, dir := newBench(t, store.Config{}), t.TempDir()
	o, err := objects.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	ended := func(p store.Prediction, status string, due bool) {
		b.exec(`UPDATE predictions SET status = $2, finish_due = $3, finished_at = clock_timestamp() - interval '25 hours'
			WHERE id = $1`, p.InternalID, status, due)
	}
	now, before, failed := b.scored(10), b.scored(10), b.upload(10)
	ended(before, "completed", false)
	ended(failed, "failed", false)
	open, due := b.upload(10), b.upload(10)
	ended(due, "cancelled", true)
	kept := []string{
		objects.PartKey(now.ID, 1, 0, objects.ResultName), objects.PartKey(open.ID, 1, 0, objects.ResultName),
		objects.PartKey(due.ID, 1, 0, objects.ResultName), objects.ResultKey(before.ID, 1, objects.ResultName),
		objects.ResultKey(before.ID, 1, objects.RejectsName), objects.SnapshotKey(before.ID, 1, 0),
	}
	putAll(t, o, kept...)
	putAll(t, o, objects.PartKey(before.ID, 1, 0, objects.ResultName), objects.PartKey(before.ID, 1, 12, objects.RejectsName),
		objects.PartKey(failed.ID, 1, 0, objects.ResultName))
	w := b.owner(o)
	if n, err := w.SweepOrphans(t.Context(), day); n != 0 || err != nil {
		t.Errorf("of the last day: %d, %v", n, err)
	}
	old := time.Now().Add(-2 * day)
	for _, key := range keysOf(t, o) {
		if err := os.Chtimes(filepath.Join(dir, filepath.FromSlash(key)), time.Time{}, old); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.SweepOrphans(t.Context(), day); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	slices.Sort(kept)
	wantEqual(t, "objects", strings.Join(slices.Sorted(slices.Values(keysOf(t, o))), " "), strings.Join(kept, " "))
}

func TestUnrecordedObjects(t *testing.T) {
	b := newBench(t, store.Config{})
	now := time.Now()
	known := objects.Info{Key: "inbox/u/known.csv", Modified: now.Add(-time.Hour)}
	again := objects.Info{Key: "inbox/u/again.csv", Modified: now.Add(-time.Hour + time.Second)}
	lost := objects.Info{Key: "inbox/u/lost.csv", Modified: now.Add(-time.Hour)}
	for _, key := range []string{known.Key, again.Key} {
		_, _, err := b.Predictions.EnqueueObject(t.Context(), store.NewObject{
			UserID: b.user.ID, Bucket: "b", Key: key, Version: "id of an event", Modified: known.Modified,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.Upkeep.UnrecordedObjects(t.Context(), "b", []objects.Info{known, again, lost})
	if err != nil || len(list) != 2 || list[0].Key != again.Key || list[1].Key != lost.Key {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestUpkeepLockIsExclusive(t *testing.T) {
	b := newBench(t, store.Config{})
	inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := b.Upkeep.WithLock(ctx(), func(context.Context) error {
			close(inside)
			<-leave
			return errors.New("f failed")
		})
		done <- err
	}()
	<-inside
	if ran, err := b.Upkeep.WithLock(t.Context(), func(context.Context) error { return nil }); ran || err != nil {
		t.Errorf("two at a time: %v, %v", ran, err)
	}
	close(leave)
	if err := <-done; err == nil || !strings.Contains(err.Error(), "f failed") {
		t.Error(err)
	}
	if ran, err := b.Upkeep.WithLock(t.Context(), func(context.Context) error { return nil }); !ran || err != nil {
		t.Errorf("afterwards: %v, %v", ran, err)
	}
}
