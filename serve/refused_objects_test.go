package serve_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/work"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// startBehindFaults runs an API on a bucket that tests can make refuse requests.
func startBehindFaults(t *testing.T) (*testAPI, *storetest.Faults) {
	t.Helper()
	faults, config := storetest.NewFaults(t, storetest.S3(t))
	objects, err := objects.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Objects = objects })
	a.objects = objects
	return a, faults
}

// workFor runs a worker that gives up an object after a while, until the test ends.
func (a *testAPI) workFor(postponeMax time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() {
		c := work.Config{Name: "test", CustomerKey: a.customers, PostponeMax: postponeMax}
		serve.RunWorkerWith(ctx, c, a.store, a.objects, a.models, a.metrics, slog.New(slog.DiscardHandler))
	})
	a.t.Cleanup(worker.Wait)
	a.t.Cleanup(cancel)
}

// untilReason waits until a prediction is shown with a reason to wait.
func (a *testAPI) untilReason(id, want string) {
	a.t.Helper()
	var view map[string]any
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		view = a.get("/predictions/"+id).want(a.t, http.StatusOK).object(a.t)
		if view["status_reason"] == want {
			return
		}
		if view["done"] == true {
			break
		}
	}
	a.t.Fatalf("no reason %q: %v", want, view)
}

// wantNothingCharged looks at the ledger of predictions: no failure, and one attempt at each part.
func (a *testAPI) wantNothingCharged(t *testing.T, ids []string) {
	t.Helper()
	attempts := a.attemptsTotal(t)
	if !strings.Contains(attempts, `"failed"} 0`) || !strings.Contains(attempts, fmt.Sprintf(`"committed"} %d`, len(ids))) {
		t.Errorf("attempts:\n%s", attempts)
	}
	admin := startAdmin(t, a, nil)
	if text := string(admin.get(t, "/dead-letters").body); strings.Contains(text, `"id"`) {
		t.Errorf("dead letters: %s", text)
	}
}

// TestWorker_BucketRefusalCostsNoAttempt has a bucket that refuses every request for a while, with files in the queue: an
// outage, which costs no attempt.
func TestWorker_BucketRefusalCostsNoAttempt(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		files  int
	}{
		{http.StatusBadRequest, "ExpiredToken", 25},
		{http.StatusForbidden, "ExpiredToken", 3},
		{http.StatusForbidden, "AccessDenied", 3},
		{http.StatusUnauthorized, "Unauthorized", 3},
		{http.StatusNotFound, "NoSuchBucket", 3},
		{http.StatusTooManyRequests, "TooManyRequests", 3},
		{http.StatusTeapot, "SomethingNew", 3},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.code), func(t *testing.T) {
			t.Parallel()
			a, faults := startBehindFaults(t)
			var ids []string
			for range c.files {
				ids = append(ids, a.upload(telecom))
			}
			faults.All(c.status, c.code)
			a.work()
			for _, id := range ids[:3] { // the others may not have had their turn
				a.untilReason(id, "waiting for the storage to come back")
			}
			a.untilReady(http.StatusServiceUnavailable, "unavailable")
			a.post("/upload", telecom).wantError(t, http.StatusServiceUnavailable, "ERR-1502")
			a.wantMetrics(`millrace_dependency_up{dependency="object_store"} 0`)
			faults.Answer(nil)
			for _, id := range ids {
				if view := a.ended(id); view["status"] != "completed" {
					t.Errorf("%v", view)
				}
			}
			a.wantNothingCharged(t, ids)
			a.untilReady(http.StatusOK, "ok")
			a.wantMetrics(`millrace_dependency_up{dependency="object_store"} 1`)
		})
	}
}

// untilReady waits until readiness has a status and says something of the object store.
func (a *testAPI) untilReady(status int, of string) {
	a.t.Helper()
	var last answer
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		last = a.get("/ready")
		if last.status == status && strings.Contains(string(last.body), `"object_store":"`+of+`"`) {
			return
		}
	}
	a.t.Fatalf("ready: %d %s", last.status, last.body)
}

// onlyInput is the key of the one file that has been uploaded.
func (a *testAPI) onlyInput() string {
	a.t.Helper()
	var keys []string
	for _, key := range a.objectKeys() {
		if strings.HasPrefix(key, "uploads/") {
			keys = append(keys, key)
		}
	}
	if len(keys) != 1 {
		a.t.Fatalf("uploaded: %v", keys)
	}
	return keys[0]
}

// TestWorker_RefusedObjectIsPostponed has one object that the bucket refuses while it serves others: its prediction is
// postponed and blocks no other, and is scored once the object can be read.
func TestWorker_RefusedObjectIsPostponed(t *testing.T) {
	for _, code := range []string{"AccessDenied", "InvalidObjectState", "KMS.DisabledException"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			a, faults := startBehindFaults(t)
			bad := a.upload(telecom)
			key := a.onlyInput()
			faults.Answer(func(r *http.Request) (int, string) {
				if strings.Contains(r.URL.Path, key) {
					return http.StatusForbidden, code
				}
				return 0, ""
			})
			a.work()
			said := code[strings.LastIndexByte(code, '.')+1:]
			a.untilReason(bad, "waiting: The file storage refuses this file: "+said+".")
			good := a.finished(telecom)
			if good["status"] != "completed" {
				t.Errorf("another's: %v", good)
			}
			a.untilReady(http.StatusOK, "ok")
			faults.Answer(nil)
			if view := a.ended(bad); view["status"] != "completed" {
				t.Errorf("mended: %v", view)
			}
			a.wantNothingCharged(t, []string{bad, good["prediction_id"].(string)})
		})
	}
}

func TestWorker_RefusedObjectFailsAfterPostponeMax(t *testing.T) {
	a, faults := startBehindFaults(t)
	id := a.upload(telecom)
	key := a.onlyInput()
	faults.Answer(func(r *http.Request) (int, string) {
		if strings.Contains(r.URL.Path, key) {
			return http.StatusForbidden, "InvalidObjectState"
		}
		return 0, ""
	})
	begin := time.Now()
	a.workFor(3 * time.Second)
	view := a.ended(id)
	failure, _ := view["error"].(map[string]any)
	if view["status"] != "failed" || failure["code"] != "ERR-1506" ||
		!strings.Contains(failure["message"].(string), "InvalidObjectState") {
		t.Errorf("%v", view)
	}
	if took := time.Since(begin); took < 3*time.Second {
		t.Errorf("given up after %v", took)
	}
	a.get("/predictions/"+id+"/download").wantError(t, http.StatusConflict, "ERR-1506")
}

// The metrics of dependencies are current without requests to /ready.
func TestReadiness_WatchUpdatesMetrics(t *testing.T) {
	a, faults := startBehindFaults(t)
	faults.All(http.StatusForbidden, "ExpiredToken")
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		serve.WatchDependencies(ctx, api.Parts{
			Store: a.store, Objects: a.objects, Models: a.models, Metrics: a.metrics,
		})
	})
	defer watch.Wait()
	defer cancel()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if text := a.scrape(); strings.Contains(text, `millrace_dependency_up{dependency="object_store"} 0`) &&
			strings.Contains(text, `millrace_dependency_up{dependency="database"} 1`) {
			return
		}
	}
	t.Error("the metric is not updated")
}
