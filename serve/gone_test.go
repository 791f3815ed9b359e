package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// march has customers with canary ids, a canary in a column that no model reads and one in a rejected row, and customers
// that april has too, with other values.
const (
	march = "customerID,tenure,MonthlyCharges,TotalCharges,Contract,note\n" +
		"A-1,5,70.35,350.5,Month-to-month,x\n" +
		"A-2,40,20.1,804,Two year,x\n" +
		canary + "-1,12,99.9,1198.8,One year," + canary + "\n" +
		canary + "-2," + canary + ",99.9,1198.8,One year," + canary + "\n"
	april = "customerID,tenure,MonthlyCharges,TotalCharges,Contract,note\n" +
		"A-1,60,20.35,1350.5,Two year,x\n" +
		"A-2,1,120.1,120.1,Month-to-month,x\n"
)

// joinHook calls before each joining of results, which is after all parts are scored and before anything is published.
type joinHook struct {
	objects.Store
	before func() error
}

func (o joinHook) Compose(ctx context.Context, dst string, parts []objects.Source) (objects.Info, error) {
	if err := o.before(); err != nil {
		return objects.Info{}, err
	}
	return o.Store.Compose(ctx, dst, parts)
}

// goneBench has a prediction whose data is to vanish, and a neighbour's, which stays.
type goneBench struct {
	*testAPI
	database string
	id       string
	leaving  option // the user whose prediction it is
}

// startWorker scores until it is stopped, and calls joining before each joining of results.
func (a goneBench) startWorker(joining func() error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve.RunWorker(ctx, a.store, joinHook{a.objects, joining}, a.models, a.metrics,
			slog.New(slog.NewJSONHandler(a.log, nil)), a.customers)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	a.t.Cleanup(stop)
	return stop
}

// states are how far a prediction may be when it is removed. Each calls remove exactly once.
var states = map[string]func(a goneBench, remove func()){
	"queued": func(a goneBench, remove func()) { remove() },
	"claimed by a worker that was killed": func(a goneBench, remove func()) {
		a.claim()
		remove()
	},
	"scored by a worker that was killed": func(a goneBench, remove func()) {
		killed := make(chan struct{})
		stop := a.startWorker(sync.OnceValue(func() error {
			close(killed)
			return errKilled
		}))
		<-killed
		stop()
		remove()
	},
	"joined meanwhile": func(a goneBench, remove func()) {
		joining, removed := make(chan struct{}), make(chan struct{})
		stop := a.startWorker(sync.OnceValue(func() error {
			close(joining)
			<-removed
			return nil
		}))
		<-joining
		remove()
		close(removed)
		waitFor(a.t, "the late result", func() bool {
			return slices.ContainsFunc(a.objectKeys(), func(key string) bool {
				return strings.Contains(key, a.id) && strings.HasSuffix(key, "/1/"+objects.ResultName)
			})
		})
		waitFor(a.t, "the refusal", func() bool { return strings.Contains(a.log.String(), "part given up") })
		stop()
	},
	"finished": func(a goneBench, remove func()) {
		a.complete()
		remove()
	},
	"quoted by the next": func(a goneBench, remove func()) {
		a.complete()
		stop := a.work()
		next := a.finished(april, a.leaving)["prediction_id"].(string)
		stop()
		if got := a.changesOf(next); got.Status != engine.ChangesCompared || len(got.Risen)+len(got.Fallen) == 0 {
			a.t.Fatalf("before: %+v", got)
		}
		remove()
		if r := a.get("/predictions/"+next, a.leaving); r.status == http.StatusUnauthorized {
			return // the whole account is gone
		}
		a.sweepTwice()
		if got := a.changesOf(next); got.Status != engine.ChangesUnavailable || got.Previous != nil || got.Customers != nil ||
			len(got.Risen)+len(got.Fallen) > 0 {
			a.t.Errorf("after: %+v", got)
		}
	},
}

var errKilled = errors.New("killed")

func (a goneBench) complete() {
	a.t.Helper()
	stop := a.work()
	waitFor(a.t, "the prediction", func() bool {
		return a.get("/predictions/"+a.id, a.leaving).object(a.t)["status"] == "completed"
	})
	stop()
}

func (a goneBench) changesOf(id string) engine.Changes {
	a.t.Helper()
	var body struct{ Summary engine.Summary }
	if err := json.Unmarshal(a.get("/predictions/"+id, a.leaving).want(a.t, http.StatusOK).body, &body); err != nil {
		a.t.Fatal(err)
	}
	return *body.Summary.Changes
}

// failingDeletes is an object store that is interrupted in the first removal of files.
type failingDeletes struct {
	objects.Store
	failed bool
}

func (o *failingDeletes) Delete(ctx context.Context, why objects.Reason, keys ...string) error {
	if !o.failed {
		o.failed = true
		return errKilled
	}
	return o.Store.Delete(ctx, why, keys...)
}

// sweepTwice sweeps after a sweep that was interrupted.
func (a goneBench) sweepTwice() {
	a.t.Helper()
	_ = a.store.Upkeep.SweepDeletions(context.Background(), &failingDeletes{Store: a.objects})
	storetest.Exec(a.t, a.database, `UPDATE deletions SET due_at = clock_timestamp()`)
	a.sweep()
}

// found is where the canary is: columns, the dump, the log, and files, also hidden ones and by their name.
func (a goneBench) found() string {
	a.t.Helper()
	places := storetest.Find(a.t, a.database, canary)
	if strings.Contains(a.log.String(), canary) {
		places = append(places, "log")
	}
	err := filepath.WalkDir(a.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if strings.Contains(name+string(text), canary) {
			places = append(places, strings.TrimPrefix(name, a.dir))
		}
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return strings.Join(places, " ")
}

// TestNothingIsLeft removes a prediction in every state in every way, with sweeps that are interrupted, and looks for the
// canary in every column, the dump, the log and every file. Another user's prediction stays as it is.
func TestNothingIsLeft(t *testing.T) {
	removals := map[string]func(a goneBench){
		"prediction": func(a goneBench) {
			a.do(http.MethodDelete, "/predictions/"+a.id, nil, a.leaving).want(a.t, http.StatusNoContent)
		},
		"account": func(a goneBench) {
			a.do(http.MethodDelete, "/account", nil, a.leaving).want(a.t, http.StatusNoContent)
		},
		"expiry": func(a goneBench) {
			storetest.Exec(a.t, a.database, `UPDATE predictions SET finished_at = '2020-01-01', finish_due = false,
				status = CASE WHEN status = 'completed' THEN status ELSE 'dead' END WHERE public_id = '`+a.id+`'`)
			if n, err := a.store.Upkeep.Expire(context.Background(), time.Hour); n != 1 || err != nil {
				a.t.Error(n, err)
			}
		},
	}
	for way, remove := range removals {
		for state, reach := range states {
			if way == "expiry" && state == "joined meanwhile" {
				continue // what is being finished does not expire
			}
			starts := map[string]func(*testing.T) goneBench{"directory": startGone}
			if slices.Contains([]string{"scored by a worker that was killed", "joined meanwhile", "finished"}, state) {
				starts["s3"] = startGoneOnS3
			}
			for kind, start := range starts {
				t.Run(way+"/"+state+"/"+kind, func(t *testing.T) {
					t.Parallel()
					testNothingIsLeft(start(t), reach, remove, way == "expiry")
				})
			}
		}
	}
}

func startGone(t *testing.T) goneBench {
	database := storetest.Postgres(t)
	a := goneBench{database: database, testAPI: startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Store = storetest.Open(t, store.Config{URL: database})
	})}
	a.leaving = as(a.token("leaving"))
	return a
}

// startGoneOnS3 keeps objects in a bucket, whose files are looked through as the directory's are.
func startGoneOnS3(t *testing.T) goneBench {
	bucket := storetest.S3(t)
	files := storetest.S3Dir(t, bucket.Bucket)
	o, err := objects.OpenS3(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	database := storetest.Postgres(t)
	a := goneBench{database: database, testAPI: startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Store, p.Objects = storetest.Open(t, store.Config{URL: database}), o
	})}
	a.objects, a.dir, a.leaving = o, files, as(a.token("leaving"))
	return a
}

func testNothingIsLeft(a goneBench, reach func(goneBench, func()), remove func(goneBench), expiry bool) {
	t := a.t
	stop := a.work()
	neighbour := a.finished(telecom)["links"].(map[string]any)["download"].(string)
	stop()
	result := string(a.get(neighbour).want(t, http.StatusOK).body)
	name := canary + ".csv"
	if expiry {
		name = "march.csv" // it is kept
	}
	a.id = a.post("/upload?filename="+name, march, a.leaving).want(t, http.StatusOK).object(t)["prediction_id"].(string)
	if a.found() == "" {
		t.Fatal("the canary is not there before")
	}
	reach(a, func() { remove(a) })
	for range 3 { // at once, after ten minutes, after a day
		a.sweepTwice()
		storetest.Exec(t, a.database, `UPDATE deletions SET due_at = clock_timestamp()`)
	}
	if got := a.found(); got != "" {
		t.Errorf("left in %s", got)
	}
	if string(a.get(neighbour).want(t, http.StatusOK).body) != result {
		t.Error("another user's result has changed")
	}
}

// An upload that ends when its account is gone is refused, however long it took, and leaves nothing.
func TestDeleteAccount_DuringUpload(t *testing.T) {
	a := startGone(t)
	reader, writer := io.Pipe()
	answers := make(chan answer, 1)
	go func() {
		answers <- a.do(http.MethodPost, "/upload?filename="+canary+".csv", reader, a.leaving, header("Content-Type", "text/csv"))
	}()
	if _, err := io.WriteString(writer, march[:len(march)/2]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the account", func() bool { return storetest.Ask(t, a.database, `SELECT count(*) FROM users`) == "1" })
	a.do(http.MethodDelete, "/account", nil, a.leaving).want(t, http.StatusNoContent)
	a.sweep()
	storetest.Exec(t, a.database, `UPDATE users SET deleted_at = deleted_at - interval '2 hours'`)
	a.sweep() // the last that looks for rows of this user
	if _, err := io.WriteString(writer, march[len(march)/2:]); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	(<-answers).wantError(t, http.StatusUnauthorized, "ERR-1201")
	if got := a.found(); got != "" {
		t.Errorf("left in %s", got)
	}
}
