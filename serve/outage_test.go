package serve_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/storetest"
)

// troubled is an object store in which one thing goes wrong.
type troubled struct {
	objects.Store
	put  func(key string)
	get  func(key string)
	list func(prefix string) error
}

func (o troubled) List(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	if o.list != nil {
		if err := o.list(prefix); err != nil {
			return func(yield func(objects.Info, error) bool) { yield(objects.Info{}, err) }
		}
	}
	return o.Store.List(ctx, prefix)
}

func (o troubled) Put(ctx context.Context, key string, r io.Reader) (objects.Info, error) {
	if o.put != nil {
		o.put(key)
	}
	return o.Store.Put(ctx, key, r)
}

func (o troubled) Get(
	ctx context.Context, key string, r objects.Range, ifMatch string,
) (io.ReadCloser, objects.Info, error) {
	if o.get != nil {
		o.get(key)
	}
	return o.Store.Get(ctx, key, r, ifMatch)
}

// workWith runs a worker on other objects than the API's until the test ends.
func (a *testAPI) workWith(o objects.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	worker.Go(func() {
		serve.RunWorker(ctx, a.store, o, a.models, a.metrics, slog.New(slog.DiscardHandler), a.customers)
	})
	a.t.Cleanup(worker.Wait)
	a.t.Cleanup(cancel)
}

// ended waits for the end of a prediction and gives it.
func (a *testAPI) ended(id string) map[string]any {
	a.t.Helper()
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if r := a.get("/predictions/" + id); r.status == http.StatusOK && r.object(a.t)["done"] == true {
			return r.object(a.t)
		}
	}
	a.t.Fatal("the prediction does not end")
	return nil
}

// A database outage while a part is scored: requests fail at once with its code, and the part is committed on its first
// attempt when the database is back.
func TestWorker_DatabaseOutageDuringPart(t *testing.T) {
	direct := storetest.Postgres(t)
	toDatabase, through := storetest.NewProxy(t, direct)
	throughIt := storetest.Open(t, store.Config{URL: through})
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Store = throughIt })
	a.store = throughIt
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	a.workWith(troubled{Store: a.objects, put: func(string) {
		once.Do(func() { close(reached) })
		<-goOn
	}})
	id := a.upload(telecom)
	<-reached
	toDatabase.Cut()
	for range 20 {
		r := a.get("/predictions")
		r.wantError(t, http.StatusServiceUnavailable, "ERR-1501")
		if r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	checks := a.get("/ready").wantError(t, http.StatusServiceUnavailable, "ERR-1501").Error.Details["checks"]
	if got := checks.(map[string]any); got["database"] != "unavailable" || got["object_store"] != "ok" {
		t.Errorf("ready: %v", got)
	}
	close(goOn)
	waitFor(t, "the worker's failure to commit", func() bool {
		stacks := make([]byte, 4<<20)
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("(*Worker).retryUntilStored"))
	})
	if err := toDatabase.Restore(); err != nil {
		t.Fatal(err)
	}
	if view := a.ended(id); view["status"] != "completed" {
		t.Errorf("%v", view)
	}
	if log := a.attemptsTotal(t); !strings.Contains(log, `"failed"} 0`) || !strings.Contains(log, `"postponed"} 1`) {
		t.Errorf("attempts:\n%s", log)
	}
}

// Without the queue the process stays ready but degraded, and files are accepted and scored.
func TestServe_QueueUnavailable(t *testing.T) {
	config := storetest.SQS(t).Config
	toQueue, through := storetest.NewProxy(t, config.Endpoint)
	config.Endpoint = through
	queue, err := queue.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Queue = queue })
	a.work()
	readiness := func(status, of string) {
		t.Helper()
		var last map[string]any
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			last = a.get("/ready").want(t, http.StatusOK).object(t)
			if last["status"] == status && last["checks"].(map[string]any)["queue"] == of {
				return
			}
		}
		t.Fatalf("ready: %v", last)
	}
	readiness("ready", "ok")
	toQueue.Cut()
	readiness("degraded", "unavailable")
	if view := a.finished(telecom); view["status"] != "completed" {
		t.Errorf("without the queue: %v", view)
	}
	if scrape := a.scrape(); !strings.Contains(scrape, `millrace_dependency_up{dependency="queue"} 0`) {
		t.Error("the metric does not show the outage")
	}
	if err := toQueue.Restore(); err != nil {
		t.Fatal(err)
	}
	readiness("ready", "ok")
}

// attemptsTotal gives the lines of the metric that counts attempts.
func (a *testAPI) attemptsTotal(t *testing.T) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(string(startAdmin(t, a, nil).get(t, "/metrics").body)) {
		if strings.HasPrefix(line, "millrace_attempts_total") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// A worker crashes between the publication of a result and the deletion of its part objects. The sweep deletes them, and
// the result stays.
func TestSweep_DeletesPartObjectsAfterCrash(t *testing.T) {
	file, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.UploadLimits = ingest.Limits{PartBytes: 128 << 10, ChunkBytes: 16 << 10}
	})
	over := make(chan struct{})
	a.workWith(troubled{Store: a.objects, list: func(string) error {
		<-over
		return errors.New("the process is gone")
	}})
	t.Cleanup(func() { close(over) })
	id := a.upload(string(file))
	if view := a.ended(id); view["status"] != "completed" {
		t.Fatal(view)
	}
	parts := func() (n int) {
		for _, key := range a.objectKeys() {
			if strings.HasPrefix(key, objects.PartsPrefix(uuid.MustParse(id), 1)) {
				n++
			}
		}
		return n
	}
	left, before := parts(), a.get("/predictions/"+id+"/download").want(t, http.StatusOK).body
	owner := store.NewOwner(a.store, a.objects, nil)
	if err := owner.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := owner.SweepOrphans(t.Context(), time.Hour)
	if n != 0 || err != nil || left < 5 || parts() != left {
		t.Errorf("at once: %d of %d swept, %v", n, left, err)
	}
	if n, err := owner.SweepOrphans(t.Context(), 0); n != left || err != nil || parts() != 0 {
		t.Errorf("later: %d of %d swept, %v", n, left, err)
	}
	if after := a.get("/predictions/"+id+"/download").want(t, http.StatusOK).body; !bytes.Equal(after, before) {
		t.Error("the result is another")
	}
}

// A panic, in the worker's own goroutine or in the one that puts the result, is the end of one prediction.
func TestWorker_PanicFailsOnePrediction(t *testing.T) {
	a := startAPI(t, nil)
	var mu sync.Mutex
	bad := map[string]bool{}
	hit := func(key string) {
		mu.Lock()
		defer mu.Unlock()
		for id := range bad {
			if strings.Contains(key, id) {
				panic("a customer's cell")
			}
		}
	}
	mark := func(id string) {
		mu.Lock()
		defer mu.Unlock()
		bad[id] = true
	}
	reading := a.upload(telecom)
	mark(strings.Split(a.objectKeys()[0], "/")[1]) // the id that its upload has in the bucket
	writing := a.upload(telecom)
	mark(writing)
	a.workWith(troubled{Store: a.objects, put: hit, get: hit})
	if view := a.finished(telecom); view["status"] != "completed" {
		t.Errorf("another's prediction: %v", view)
	}
	for _, id := range []string{reading, writing} {
		view := a.ended(id)
		failure, _ := view["error"].(map[string]any)
		if view["status"] != "dead" || failure["code"] != "ERR-1102" {
			t.Errorf("%v", view)
		}
	}
	if strings.Contains(a.log.String(), "customer's cell") {
		t.Error("a cell is in the log")
	}
}
