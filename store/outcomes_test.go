package store_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

// outcome is one of the customer of a row.
func (b bench) outcome(row int64, churned bool, on ...time.Time) store.Outcome {
	b.Helper()
	id, _, _ := rowValue(row)
	o := store.Outcome{Customer: customerKey(b, "k").Hasher(b.user.ID).Hash([]byte(id)), Churned: churned}
	if len(on) > 0 {
		o.On = on[0]
	}
	return o
}

func day(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }

// record records outcomes and returns what is stored of the customer of row 1.
func (b bench) record(outcomes ...store.Outcome) (store.Recorded, string) {
	b.Helper()
	done, err := b.Predictions.RecordOutcomes(b.Context(), b.user.ID, outcomes, countRows)
	if err != nil {
		b.Fatal(err)
	}
	return done, ask[string](b, `
		SELECT string_agg(DISTINCT concat_ws(' ', actual_churn, to_char(outcome_on, 'DD')), ', ')
		FROM ml_training_data WHERE row_no = 1`)
}

// keep scores so many files of rows, all of which are kept.
func (b bench) keep(files int, rows int64) {
	b.Helper()
	for range files {
		b.upload(rows)
		if err := b.keepTraining(b.Store, b.claim("w"), 1); err != nil {
			b.Fatal(err)
		}
	}
}

// The rule: a later day wins; of the same day, or without any, what comes in last.
func TestRecordOutcomes_LaterReplaces(t *testing.T) {
	b := newBench(t, store.Config{})
	b.keep(1, 5)
	for _, step := range []struct {
		name    string
		give    []store.Outcome
		changed int64
		want    string
	}{
		{"first", []store.Outcome{b.outcome(1, false)}, 1, "f"},
		{"again", []store.Outcome{b.outcome(1, false)}, 0, "f"},
		{"corrected", []store.Outcome{b.outcome(1, true)}, 1, "t"},
		{"dated", []store.Outcome{b.outcome(1, false, day(5))}, 1, "f 05"},
		{"not dated any more", []store.Outcome{b.outcome(1, true)}, 0, "f 05"},
		{"earlier", []store.Outcome{b.outcome(1, true, day(4))}, 0, "f 05"},
		{"the same day", []store.Outcome{b.outcome(1, true, day(5))}, 1, "t 05"},
		{"later, the same", []store.Outcome{b.outcome(1, true, day(6))}, 1, "t 06"},
		{"several", []store.Outcome{
			b.outcome(1, true), b.outcome(1, false, day(9)), b.outcome(2, true), b.outcome(1, true, day(8)),
		}, 2, "f 09"},
		{"several again", []store.Outcome{
			b.outcome(1, true), b.outcome(1, false, day(9)), b.outcome(2, true), b.outcome(1, true, day(8)),
		}, 0, "f 09"},
	} {
		done, got := b.record(step.give...)
		if done.Changed != step.changed || got != step.want {
			t.Errorf("%s: %d changed to %q, want %d, %q", step.name, done.Changed, got, step.changed, step.want)
		}
	}
}

func TestRecordOutcomesMatches(t *testing.T) {
	b := newBench(t, store.Config{})
	b.keep(2, 30)
	var outcomes []store.Outcome
	for row := int64(1); row <= 40; row++ {
		outcomes = append(outcomes, b.outcome(row, row%2 == 0))
	}
	stranger, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	done, err := b.Predictions.RecordOutcomes(t.Context(), stranger.ID, outcomes, countRows)
	if err != nil || len(done.Matched) != 0 {
		t.Errorf("another's customers: %+v, %v", done, err)
	}
	done, _ = b.record(outcomes...)
	if len(done.Matched) != 27 || done.Rows != 54 || done.Changed != 54 { // rows 10, 20 and 30 have no id
		t.Errorf("%d customers, %d rows, %d changed", len(done.Matched), done.Rows, done.Changed)
	}
	if !slices.Contains(done.Matched, outcomes[0].Customer) || slices.Contains(done.Matched, outcomes[9].Customer) {
		t.Error("the wrong ones")
	}
	wantEqual(t, "churned", ask[int](b, `SELECT count(*)::int FROM ml_training_data WHERE actual_churn`), 24)
}

// A report has one row of each customer: the newest from before the outcome, else the newest.
func TestReportRows(t *testing.T) {
	b := newBench(t, store.Config{})
	b.keep(3, 4)
	b.exec(`UPDATE ml_training_data SET created_at = '2026-03-01', probability = 0.1
		WHERE prediction_id = (SELECT min(id) FROM predictions)`)
	b.exec(`UPDATE ml_training_data SET created_at = '2026-03-20', probability = 0.3
		WHERE prediction_id = (SELECT max(id) FROM predictions)`)
	b.exec(`UPDATE ml_training_data SET created_at = '2026-03-10', probability = 0.2 WHERE created_at > '2026-03-21'`)
	b.record(b.outcome(1, true, day(10)), b.outcome(2, false, day(2)), b.outcome(3, false), b.outcome(4, true, day(28)))
	b.exec(`UPDATE ml_training_data SET outcome_on = '2026-02-01' WHERE row_no = 4`)
	b.record() // makes the reports anew
	list, err := b.Predictions.OutcomeReports(t.Context(), b.user.ID, "telecom")
	if err != nil || len(list) != 1 || list[0].Model.SHA256 != "5a" || list[0].Model.Version != "1" {
		t.Fatalf("%+v: %v", list, err)
	}
	var report struct{ Rows []store.ObservedRow }
	if err := json.Unmarshal(list[0].Report, &report); err != nil {
		t.Fatal(err)
	}
	got := map[float32]int{}
	for _, r := range report.Rows {
		got[r.Probability]++
		if r.Group != "letter" || r.Band < 0 {
			t.Errorf("%+v", r)
		}
	}
	if len(report.Rows) != 4 || got[0.1] != 1 || got[0.2] != 1 || got[0.3] != 2 {
		t.Errorf("rows %+v", report.Rows)
	}
	stranger, err := b.Accounts.EnsureUser(t.Context(), "user_2")
	if err != nil {
		t.Fatal(err)
	}
	if list, err := b.Predictions.OutcomeReports(t.Context(), stranger.ID, "telecom"); len(list) != 0 || err != nil {
		t.Errorf("another's reports: %+v, %v", list, err)
	}
}

func TestOutcomesWithoutReport(t *testing.T) {
	b := newBench(t, store.Config{})
	b.keep(1, 5)
	broken := errors.New("no report")
	_, err := b.Predictions.RecordOutcomes(t.Context(), b.user.ID, []store.Outcome{b.outcome(1, true)},
		store.Reports{OfModel: func(store.Model, []store.ObservedRow) (json.RawMessage, error) { return nil, broken }})
	wantErr(t, err, broken)
	wantEqual(t, "written", ask[int](b, `SELECT count(actual_churn)::int FROM ml_training_data`), 0)
}
