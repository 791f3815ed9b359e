package store_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/awsclient"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
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

// calls keeps what was reported.
type calls struct {
	mu   sync.Mutex
	list []awsclient.Call
}

func (c *calls) add(call awsclient.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, call)
}

func (c *calls) take() []awsclient.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

func TestCallsAreReported(t *testing.T) {
	var seen calls
	config := storetest.S3(t)
	config.Observe = seen.add
	objects, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Put(t.Context(), "uploads/a", strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	wantCall(t, seen.take(), awsclient.Call{Service: "s3", Operation: "PutObject", Result: awsclient.CallDone})
	if _, err := objects.Head(t.Context(), "uploads/b"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	wantCall(t, seen.take(), awsclient.Call{Service: "s3", Operation: "HeadObject", Result: awsclient.CallRefused})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := objects.Head(ended, "uploads/a"); err == nil {
		t.Fatal("an ended context reads")
	}
	wantCall(t, seen.take(), awsclient.Call{Service: "s3", Operation: "HeadObject", Result: awsclient.CallGivenUp})
}

// TestRetriesAreReported has a queue that is out of order twice, and then for good.
func TestRetriesAreReported(t *testing.T) {
	var seen calls
	failures := 2
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(server.Close)
	q, err := queue.Open(t.Context(), queue.Config{
		URL: server.URL + "/queue", Endpoint: server.URL, AccessKey: "a", SecretKey: "b", Observe: seen.add,
		RetryPause: storetest.RetryPause,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := awsclient.Call{Service: "sqs", Operation: "GetQueueAttributes", Retries: 2, Result: awsclient.CallDone}
	wantCall(t, seen.take(), want)
	failures = 3
	if err := q.Ping(t.Context()); err == nil {
		t.Fatal("a queue that is out of order answers")
	}
	want.Result = awsclient.CallFailed
	wantCall(t, seen.take(), want)
}

func wantCall(t *testing.T, got []awsclient.Call, want awsclient.Call) {
	t.Helper()
	if len(got) != 1 || got[0].Took <= 0 {
		t.Fatalf("calls %+v", got)
	}
	if got[0].Took = 0; got[0] != want {
		t.Errorf("got %+v, want %+v", got[0], want)
	}
}
