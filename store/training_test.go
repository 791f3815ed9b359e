package store_test

import (
	"fmt"
	"testing"

	"github.com/retainwise/millrace/store"
)

func trainingRows(n int) []store.TrainingRow {
	rows := make([]store.TrainingRow, n)
	for i := range rows {
		rows[i] = store.TrainingRow{
			Row: int64(i + 1), CustomerHash: fmt.Appendf(nil, "hash-%d", i), Features: []byte(`{"tenure": 3}`),
			Probability: 0.25,
		}
	}
	rows[0].ExperimentGroup = "a"
	return rows
}

func TestTrainingNeedsConsent(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(1000)
	c := b.claim("w")
	for _, step := range []struct {
		rate     float32
		min, max int
	}{{0, 0, 0}, {0.5, 350, 650}, {0.5, 0, 0}} { // the second time it is there already
		if err := b.SetTrainingRate(t.Context(), b.user.ID, step.rate); err != nil {
			t.Fatal(err)
		}
		kept, err := b.AddTraining(t.Context(), c, trainingRows(1000))
		if err != nil || kept < step.min || kept > step.max {
			t.Errorf("rate %v: kept %d, %v", step.rate, kept, err)
		}
	}
	_, err := b.AddTraining(t.Context(), &store.Claim{PredictionID: 5}, nil)
	wantErr(t, err, store.ErrNotFound)
}

func TestOutcomes(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(10)
	b.upload(10)
	if err := b.SetTrainingRate(t.Context(), b.user.ID, 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if kept, err := b.AddTraining(t.Context(), b.claim("w"), trainingRows(10)); kept != 10 || err != nil {
			t.Fatal(kept, err)
		}
	}
	outcomes := []store.Outcome{
		{[]byte("hash-1"), false}, {[]byte("hash-2"), false}, {[]byte("hash-1"), true}, {[]byte("unknown"), true},
	}
	if n, err := b.RecordOutcomes(t.Context(), b.user.ID+1, outcomes); n != 0 || err != nil {
		t.Errorf("another's rows: %d, %v", n, err)
	}
	if n, err := b.RecordOutcomes(t.Context(), b.user.ID, outcomes); n != 4 || err != nil {
		t.Errorf("%d rows: %v", n, err)
	}
	wantEqual(t, "outcomes", ask[string](b, `
		SELECT string_agg(DISTINCT encode(customer_hash, 'escape') || '=' || actual_churn, ' ')
		FROM ml_training_data WHERE outcome_at IS NOT NULL`), "hash-1=true hash-2=false")
	wantEqual(t, "groups", ask[int](b, `SELECT count(experiment_group)::int FROM ml_training_data`), 2)
	b.Close()
	if _, err := b.RecordOutcomes(t.Context(), 1, nil); err == nil {
		t.Error("without a database")
	}
}
