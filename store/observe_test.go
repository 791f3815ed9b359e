package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

func TestQueueState(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(3)
	b.upload(3)
	b.exec(`UPDATE predictions SET queued_at = queued_at - interval '90 seconds'
		WHERE id = (SELECT min(id) FROM predictions)`)
	internal := b.upload(1)
	b.exec(`UPDATE predictions SET options = '{"internal": true}' WHERE public_id = $1`, internal.ID)
	q, err := b.Upkeep.QueueState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if q.Queued != 2 || q.Running != 0 || q.Dead != 0 || q.Outbox != 3 || q.Oldest < 90*time.Second ||
		q.Oldest > 10*time.Minute {
		t.Errorf("%+v", q)
	}
	c := b.claim("w")
	if err := b.Ledger.FailPart(t.Context(), c, store.Failure{Code: "ERR-1500", Permanent: true}); err != nil {
		t.Fatal(err)
	}
	b.exec(`UPDATE predictions SET status = 'dead' WHERE status = 'failed'`)
	if q, err = b.Upkeep.QueueState(t.Context()); err != nil || q.Queued != 1 || q.Dead != 1 {
		t.Errorf("%+v, %v", q, err)
	}
	b.Close()
	if _, err := b.Upkeep.QueueState(t.Context()); err == nil {
		t.Error("a closed store counts")
	}
}

func TestTimesOfAPrediction(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(4)
	c := b.claim("w")
	b.exec(`UPDATE predictions SET queued_at = queued_at - interval '2 seconds'`)
	got, err := b.Ledger.Times(t.Context(), c)
	if err != nil || got.Status != store.Running || got.Rows != 4 || got.Queued < 2*time.Second || got.InAll != 0 {
		t.Errorf("running: %+v, %v", got, err)
	}
	if err := b.finish(b.mustScore(c)); err != nil {
		t.Fatal(err)
	}
	got, err = b.Ledger.Times(t.Context(), c)
	if err != nil || got.Status != store.Completed || got.FirstResult < got.Queued || got.InAll < got.FirstResult {
		t.Errorf("completed: %+v, %v", got, err)
	}
	if _, err := b.Ledger.Times(t.Context(), &store.Claim{PredictionID: -1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

func TestDeletePredictionLeavesNothing(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(4)
	if err := b.finish(b.mustScore(b.claim("w"))); err != nil {
		t.Fatal(err)
	}
	other := b.upload(2)
	if err := b.Predictions.Delete(t.Context(), p.UserID+1, p.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another user's: %v", err)
	}
	if err := b.Predictions.Delete(t.Context(), p.UserID, p.ID); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"prediction_blocks", "prediction_failures"} {
		wantEqual(t, table, ask[int](b, `SELECT count(*)::int FROM `+table), 0)
	}
	for _, table := range []string{"predictions", "uploads", "prediction_parts", "outbox"} {
		wantEqual(t, table, ask[int](b, `SELECT count(*)::int FROM `+table), 1)
	}
	if _, err := b.Predictions.Get(t.Context(), other.UserID, other.ID); err != nil {
		t.Error(err)
	}
}

func TestPoolStateCountsWaits(t *testing.T) {
	s, err := store.Open(t.Context(), store.Config{URL: storetest.Postgres(t), ConnsMax: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := s.Upkeep.QueueState(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p := s.PoolState()
	if p.Max != 1 || p.Acquires < 4 || p.Acquired != 0 || p.Idle != 1 || (p.Waits > 0) != (p.Waited > 0) {
		t.Errorf("%+v", p)
	}
}
