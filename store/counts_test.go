package store_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/counts"
)

// counted finishes an upload of rows with counts.
func (b bench) counted(rows int64, numbers ...int64) store.Prediction {
	b.Helper()
	p := b.upload(rows)
	c := b.mustScore(b.claim("w"))
	err := b.Ledger.Finish(b.Context(), c, store.Result{
		Summary: []byte(`{}`), Counted: &counts.Counted{Profile: json.RawMessage(`{"columns": []}`), Numbers: numbers},
	})
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// sums are the counts that a query yields, newest first.
func (b bench) sums(q counts.Query) (list [][]int64) {
	b.Helper()
	q.To = time.Now().Add(time.Hour)
	if _, err := b.Counts.Predictions(b.Context(), q, func(e counts.Entry) error {
		list = append(list, e.Numbers)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return list
}

func wantSums(t *testing.T, what string, got [][]int64, want ...[]int64) {
	t.Helper()
	if !slices.EqualFunc(got, want, slices.Equal[[]int64]) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestCounts_Queries(t *testing.T) {
	b := newBench(t, store.Config{})
	b.counted(10, 1, 2)
	b.counted(10, 3, 4)
	other := b
	var err error
	if other.user, err = b.Accounts.EnsureUser(t.Context(), "user_2"); err != nil {
		t.Fatal(err)
	}
	other.counted(10, 5, 6)
	none, label := "", "north"
	wantSums(t, "own", b.sums(counts.Query{User: b.user.ID, Model: "telecom"}), []int64{3, 4}, []int64{1, 2})
	wantSums(t, "another's", b.sums(counts.Query{User: other.user.ID, Model: "telecom"}), []int64{5, 6})
	wantSums(t, "another model", b.sums(counts.Query{User: b.user.ID, Model: "saas"}))
	wantSums(t, "no dataset", b.sums(counts.Query{User: b.user.ID, Model: "telecom", Dataset: &none}), []int64{3, 4}, []int64{1, 2})
	wantSums(t, "a dataset", b.sums(counts.Query{User: b.user.ID, Model: "telecom", Dataset: &label}))
	all := [][]int64{{5, 6}, {3, 4}, {1, 2}}
	wantSums(t, "everybody's", b.sums(counts.Query{Model: "telecom"}), all...)
	wantSums(t, "everybody's without dataset", b.sums(counts.Query{Model: "telecom", Dataset: &none}), all...)
	wantSums(t, "by content", b.sums(counts.Query{SHA256: "5a"}), all...)
	wantSums(t, "earlier", b.sums(counts.Query{SHA256: "5a", From: time.Now().Add(time.Hour)}))

	n := 0
	more, err := b.Counts.Predictions(t.Context(), counts.Query{SHA256: "5a", To: time.Now().Add(time.Hour), Limit: 2},
		func(counts.Entry) error { n++; return nil })
	if !more || n != 2 || err != nil {
		t.Errorf("%d of 3, more %v: %v", n, more, err)
	}
	profiles, err := b.Counts.Profiles(t.Context(), []string{"5a", "00"})
	if err != nil || len(profiles) != 1 || string(profiles["5a"]) != `{"columns": []}` {
		t.Errorf("%s, %v", profiles, err)
	}
	b.exec(`UPDATE prediction_counts SET dataset = 'north' WHERE user_id = $1`, other.user.ID)
	wantSums(t, "another's dataset", b.sums(counts.Query{User: b.user.ID, Model: "telecom", Dataset: &label}))
	wantSums(t, "that dataset", b.sums(counts.Query{Model: "telecom", Dataset: &label}), []int64{5, 6})
}

// Counts go with their prediction, and with its results if they are of few rows.
func TestCounts_GoWithTheirPrediction(t *testing.T) {
	b := newBench(t, store.Config{})
	gone := b.counted(counts.RowsMin, 1)
	if err := b.Predictions.Delete(t.Context(), b.user.ID, gone.ID); err != nil {
		t.Fatal(err)
	}
	wantSums(t, "deleted", b.sums(counts.Query{SHA256: "5a"}))
	b.counted(counts.RowsMin-1, 2)
	b.counted(counts.RowsMin, 3)
	if _, err := b.Upkeep.Expire(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	wantSums(t, "expired", b.sums(counts.Query{SHA256: "5a"}), []int64{3})
	if err := b.Accounts.Delete(t.Context(), b.user.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Upkeep.SweepDeletions(t.Context(), directory(t)); err != nil {
		t.Fatal(err)
	}
	wantSums(t, "account deleted", b.sums(counts.Query{SHA256: "5a"}))
}

// months are what a query yields of outcomes; nil is being made anew.
func (b bench) months() (list [][]int64) {
	b.Helper()
	q := counts.Query{User: b.user.ID, Model: "telecom", From: time.Now().AddDate(-1, 0, 0), To: time.Now().Add(time.Hour)}
	if _, err := b.Counts.Outcomes(b.Context(), q, func(e counts.Entry) error {
		list = append(list, e.Numbers)
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	return list
}

// describe sums up customers so that a test sees which they are.
func describe(rows []counts.Scored) []int64 {
	n := []int64{int64(len(rows)), 0, 0}
	for _, r := range rows {
		if r.Churned {
			n[1]++
		}
		if r.Late {
			n[2]++
		}
	}
	return n
}

func TestCounts_MonthsOfOutcomes(t *testing.T) {
	b := newBench(t, store.Config{})
	b.keep(3, 20) // the same customers
	b.exec(`UPDATE predictions SET created_at = created_at - interval '40 days' WHERE id = (SELECT min(id) FROM predictions)`)
	reports := countRows
	reports.OfMonth = describe
	outcomes := []store.Outcome{b.outcome(1, true), b.outcome(2, false), b.outcome(3, true, time.Now().AddDate(0, 0, -2))}
	if _, err := b.Predictions.RecordOutcomes(t.Context(), b.user.ID, outcomes, reports); err != nil {
		t.Fatal(err)
	}
	b.exec(`UPDATE ml_training_data SET created_at = created_at - interval '40 days'
		WHERE prediction_id = (SELECT min(id) FROM predictions)`)
	if _, err := b.Predictions.RecordOutcomes(t.Context(), b.user.ID, nil, reports); err != nil {
		t.Fatal(err)
	}
	// Twice this month counts once. The customer whose outcome was two days ago was scored too late this month.
	wantSums(t, "recorded", b.months(), []int64{3, 2, 1}, []int64{3, 2, 0})

	// What is left of a month when a prediction is deleted is made anew; a month of which nothing is left goes.
	list, err := b.Predictions.List(t.Context(), b.user.ID, store.ListQuery{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Predictions.Delete(t.Context(), b.user.ID, list[0].ID); err != nil {
		t.Fatal(err)
	}
	wantSums(t, "one deleted", b.months(), nil, []int64{3, 2, 0})
	if err := b.Counts.Remake(t.Context(), describe); err != nil {
		t.Fatal(err)
	}
	wantSums(t, "made anew", b.months(), []int64{3, 2, 1}, []int64{3, 2, 0})
	for _, p := range list[1:] {
		if err := b.Predictions.Delete(t.Context(), b.user.ID, p.ID); err != nil {
			t.Fatal(err)
		}
	}
	wantSums(t, "all deleted", b.months(), nil, nil)
	if err := b.Counts.Remake(t.Context(), describe); err != nil {
		t.Fatal(err)
	}
	wantSums(t, "nothing is left", b.months())
}

// The deletion of a prediction without rows with outcomes marks nothing; that of the account takes all months.
func TestCounts_MarkedOnlyIfRowsGo(t *testing.T) {
	b, o := newBench(t, store.Config{}), directory(t)
	b.keep(1, 5)
	b.record(b.outcome(1, true))
	without := b.upload(5)
	if err := b.Predictions.Delete(t.Context(), b.user.ID, without.ID); err != nil {
		t.Fatal(err)
	}
	wantSums(t, "another deleted", b.months(), []int64{1})
	if err := b.Accounts.Delete(t.Context(), b.user.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Upkeep.SweepDeletions(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "months", ask[int](b, `SELECT count(*)::int FROM outcome_months`), 0)
}
