package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/servetest"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// Two APIs and a worker on one database and one bucket: a push at the worker reaches both APIs and survives restarts, while
// files are uploaded to both, of which none without a model gets another one. Aliases move under files that are accepted,
// and each prediction ends with the version that it was accepted with.
func TestPush_ReachesEveryProcess(t *testing.T) {
	database, bucket := storetest.Postgres(t), storetest.S3(t)
	start := func(role serve.Role, listen string) *servetest.Process {
		return servetest.Start(t, func(c *serve.RunConfig) {
			c.DatabaseURL, c.S3, c.Role, c.API.Rates = database, bucket, role, &limit.Rates{}
			if listen != "" {
				c.Listen = listen
			}
		})
	}
	apis := []*servetest.Process{start(serve.RoleAPI, ""), start(serve.RoleAPI, "")}
	worker := start(serve.RoleWorker, "")
	o := operator{t, worker.Admin}
	send := func(p *servetest.Process, query string) map[string]any {
		status, body := p.Do(t, http.MethodPost, "/upload"+query, strings.NewReader(telecom), "Content-Type", "text/csv",
			"Prefer", "wait=30")
		v := map[string]any{}
		if err := json.Unmarshal(body, &v); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %s", query, status, body)
		}
		return v
	}
	var uploads sync.WaitGroup
	stop := make(chan struct{})
	uploads.Go(func() { // without a model, at both, until everything is pushed
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if v := send(apis[0], ""); v["model"] != "telecom" || v["model_version"] != "1" || v["status"] != "completed" {
				t.Errorf("upload %d without a model: %v %v %v", i, v["model"], v["model_version"], v["status"])
			}
		}
	})
	var pushes sync.WaitGroup
	var mu sync.Mutex
	first := 0
	one := archiveOf(t, churn(t, "mine", "1", ""))
	for range 2 { // at once
		pushes.Go(func() {
			r := o.send(http.MethodPost, "/models", bytes.NewReader(one))
			mu.Lock()
			defer mu.Unlock()
			if v := r.object(t); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body)
			} else if v["existed"] == false {
				first++
			}
		})
	}
	pushes.Wait()
	if first != 1 {
		t.Errorf("%d pushes were the first", first)
	}
	for _, p := range apis { // at once: a name that is not known is looked up
		if v := send(p, "?model=mine@1"); v["model"] != "mine" || v["status"] != "completed" {
			t.Errorf("%v %v", v["model"], v["status"])
		}
	}
	if err := apis[1].Stop(); err != nil { // half-way
		t.Fatal(err)
	}
	o.push(archiveOf(t, churn(t, "mine", "2", "")), "")
	o.alias("champion", "mine@1")
	apis[1] = start(serve.RoleAPI, "")
	for _, p := range apis {
		if v := send(p, "?model=champion"); v["model_version"] != "1" || v["status"] != "completed" {
			t.Errorf("%v %v", v["model_version"], v["status"])
		}
	}
	o.alias("champion", "mine@2")
	for _, p := range apis {
		waitFor(t, "the alias to have moved everywhere", func() bool {
			var shown struct{ Version string }
			status, body := p.Do(t, http.MethodGet, "/models/champion", nil)
			return json.Unmarshal(body, &shown) == nil && status == http.StatusOK && shown.Version == "2"
		})
		if v := send(p, "?model=champion"); v["model_version"] != "2" || v["status"] != "completed" {
			t.Errorf("%v %v", v["model_version"], v["status"])
		}
	}
	close(stop)
	uploads.Wait()

	if err := worker.Stop(); err != nil { // accepted without a worker, and planned after a move and a restart
		t.Fatal(err)
	}
	status, body := apis[0].Do(t, http.MethodPost, "/upload?model=champion", strings.NewReader(telecom), "Content-Type", "text/csv")
	accepted := map[string]any{}
	if err := json.Unmarshal(body, &accepted); err != nil || status != http.StatusOK || accepted["model_version"] != "2" {
		t.Fatalf("%d %s", status, body)
	}
	status, body = apis[0].Do(t, http.MethodPost, fmt.Sprintf("/upload-links?model=champion&bytes=%d", len(telecom)), nil)
	var link struct {
		URL     string
		Headers map[string]string
		Links   struct{ Complete string }
	}
	if err := json.Unmarshal(body, &link); err != nil || status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	operator{t, apis[1].Admin}.alias("champion", "mine@1")
	put, err := http.NewRequest(http.MethodPut, link.URL, strings.NewReader(telecom))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range link.Headers {
		put.Header.Set(name, value)
	}
	if resp, err := http.DefaultClient.Do(put); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("put: %v %v", resp, err)
	}
	start(serve.RoleWorker, "")
	complete, _ := url.Parse(link.Links.Complete)
	status, body = apis[0].Do(t, http.MethodPost, complete.Path, nil, "Prefer", "wait=30")
	if !strings.Contains(string(body), `"model_version":"2"`) || status != http.StatusOK {
		t.Errorf("a link made before the alias was moved: %d %s", status, body)
	}
	waitFor(t, "the prediction", func() bool {
		_, body := apis[0].Do(t, http.MethodGet, fmt.Sprint("/predictions/", accepted["prediction_id"]), nil)
		return strings.Contains(string(body), `"status":"completed"`) && strings.Contains(string(body), `"model_version":"2"`)
	})
}

// A database restored from a dump, with a bucket that has lost the archive of what an alias names: this is reported, files
// with other models are taken, and the next push repairs it.
func TestPush_LostArchive(t *testing.T) {
	database := storetest.Postgres(t)
	shared, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, before := startCatalog(t, func(p *api.Parts) {
		p.Store, p.Objects = storetest.Open(t, store.Config{URL: database}), shared
	})
	b := churn(t, "mine", "1", "")
	before.push(archiveOf(t, b), "")
	before.alias("champion", "mine@1")
	before.change(http.MethodPost, "/model-defaults?model=champion&dataset=north", "")
	for _, key := range storetest.Keys(t, shared, objects.ModelsPrefix) {
		if err := shared.Delete(t.Context(), objects.Refused, key); err != nil {
			t.Fatal(err)
		}
	}
	restored := storetest.RestoredDump(t, database)
	a, o := startCatalog(t, func(p *api.Parts) {
		p.Store, p.Objects = storetest.Open(t, store.Config{URL: restored}), shared
	})
	for _, path := range []string{"/upload?model=champion", "/upload?model=mine@1", "/upload?dataset=north", "/score?model=mine"} {
		if e := a.post(path, telecom).wantError(t, http.StatusServiceUnavailable, "ERR-1712"); !e.Retryable {
			t.Errorf("%s: %+v", path, e)
		}
	}
	if got := a.scoredBy("", telecom); got != "telecom 1" {
		t.Errorf("without a model: %s", got)
	}
	if text := a.log.String(); !strings.Contains(text, "model cannot be had") {
		t.Errorf("log: %s", text)
	}
	if got := o.versions(); !slices.Equal(got, []string{"mine@1 missing"}) {
		t.Errorf("%v", got)
	}
	if shown := a.get("/models").want(t, http.StatusOK).object(t)["models"].([]any); len(shown) != 2 {
		t.Errorf("%v", shown)
	}
	if v := o.push(archiveOf(t, b), ""); v["existed"] != true {
		t.Errorf("%v", v)
	}
	if got := a.scoredBy("?model=champion", telecom); got != "mine 1" {
		t.Errorf("after a push: %s", got)
	}
}

// A process with the database login of the API has what is pushed elsewhere, and changes nothing of it itself.
func TestPush_RequiresWorkerLogin(t *testing.T) {
	requests, work := storetest.Logins(storetest.Postgres(t))
	shared, err := objects.OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	as := func(login string) (*testAPI, operator) {
		return startCatalog(t, func(p *api.Parts) {
			p.Store, p.Objects = storetest.Open(t, store.Config{URL: login}), shared
		})
	}
	a, refusing := as(requests)
	_, o := as(work)
	archive := archiveOf(t, churn(t, "mine", "1", ""))
	refusing.push(archive, "ERR-1204")
	for _, route := range [][2]string{
		{http.MethodGet, "/models"},
		{http.MethodPost, "/models/mine@1/retire"},
		{http.MethodPost, "/model-aliases/champion?model=telecom"},
		{http.MethodDelete, "/model-aliases/champion"},
		{http.MethodPost, "/model-aliases/champion/rollback"},
		{http.MethodPost, "/model-defaults?model=telecom"},
		{http.MethodDelete, "/model-defaults"},
	} {
		refusing.change(route[0], route[1], "ERR-1204")
	}
	o.push(archive, "")
	o.alias("champion", "mine@1")
	if v := a.post("/upload?model=champion", telecom).want(t, http.StatusOK).object(t); v["model"] != "mine" {
		t.Errorf("%v", v)
	}
}
