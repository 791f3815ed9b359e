package serve_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// canaryThrough sends canaries with an outage that begins at the first step, the second, and so on, until one ends before its
// outage. Each of them fails as in an outage or comes through, the next comes through, and none is left behind.
func (a *testAPI) canaryThrough(t *testing.T, s *store.Store, o objects.Store, begin func(step int64), end func() (met bool)) {
	t.Helper()
	a.work()
	run := func(s *store.Store, o objects.Store) error {
		registry, err := engine.NewRegistry(a.canaryModel(t)) // of a process that knows nothing of what is stored
		if err != nil {
			t.Fatal(err)
		}
		return serve.RunCanary(t.Context(), s, o, registry, metrics.NewMetrics())
	}
	user, err := a.store.Accounts.EnsureUser(t.Context(), duty.CanarySubject)
	if err != nil {
		t.Fatal(err)
	}
	for step := int64(1); step < 100; step++ {
		begin(step)
		err := run(s, o)
		met := end()
		if err != nil && !store.Unavailable(err) {
			t.Errorf("step %d: %v", step, err)
		}
		if err := serve.SweepCanaries(t.Context(), a.store, a.objects, time.Now().Add(time.Hour)); err != nil {
			t.Errorf("after step %d: %v", step, err)
		}
		if left, err := a.store.Predictions.List(t.Context(), user.ID, store.ListQuery{Limit: 5}); len(left) > 0 || err != nil {
			t.Errorf("after step %d: %d canaries are left: %v", step, len(left), err)
		}
		if met {
			continue
		}
		if err != nil || step < 5 {
			t.Errorf("without an outage, after %d steps: %v", step, err)
		}
		if err := run(a.store, a.objects); err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("no end")
}

func (a *testAPI) canaryModel(t *testing.T) *engine.Bundle {
	t.Helper()
	b, ok := a.models.Get(duty.CanaryModel)
	if !ok {
		t.Fatal("no model")
	}
	return b
}

// TestCanary_DatabaseLostAnywhere breaks the connections to the database in place of each of a canary's statements.
func TestCanary_DatabaseLostAnywhere(t *testing.T) {
	t.Parallel()
	database := storetest.Postgres(t)
	toDatabase, through := storetest.NewProxy(t, database)
	var left atomic.Int64
	remote := storetest.Open(t, store.Config{URL: through, Trace: func(string, []any) {
		if left.Add(-1) == 0 {
			toDatabase.Cut()
			if err := toDatabase.Restore(); err != nil {
				t.Error(err)
			}
		}
	}})
	direct := storetest.Open(t, store.Config{URL: database})
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Store = direct })
	a.canaryThrough(t, remote, a.objects, left.Store, func() bool { return left.Swap(0) <= 0 })
}

// TestCanary_ObjectStoreFailsAnywhere has the bucket refuse all attempts at each of a canary's calls.
func TestCanary_ObjectStoreFailsAnywhere(t *testing.T) {
	t.Parallel()
	const attempts = 3 // of the client at one call
	config := storetest.S3(t)
	open := func(c objects.S3Config) objects.Store {
		c.RetryPause = time.Millisecond
		o, err := objects.OpenS3(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	direct := open(config)
	faults, through := storetest.NewFaults(t, config)
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Objects = direct })
	a.objects = direct
	var before int64
	a.canaryThrough(t, a.store, open(through), func(step int64) {
		var requests atomic.Int64
		before = faults.Given()
		faults.Answer(func(*http.Request) (int, string) {
			if n := requests.Add(1); n >= step && n < step+attempts {
				return http.StatusInternalServerError, "InternalError"
			}
			return 0, ""
		})
	}, func() bool {
		faults.Answer(nil)
		return faults.Given() > before
	})
}
