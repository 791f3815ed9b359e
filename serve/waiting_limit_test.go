package serve_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// startFull starts a server on which the user has as many waiting predictions as allowed, and returns their ids.
func startFull(t *testing.T) (a *testAPI, ids []string) {
	t.Helper()
	a = startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Store = storetest.Open(t, store.Config{URL: storetest.Postgres(t), WaitingMax: 2})
	})
	return a, []string{a.upload(telecom), a.upload(telecom)}
}

// An upload over the limit of waiting predictions is refused with the limit, stores nothing, and releases its key.
func TestC10UploadTooMany(t *testing.T) {
	a, ids := startFull(t)
	before := len(a.objectKeys())
	key := header("Idempotency-Key", "monday")
	r := a.post("/upload", telecom, key)
	e := r.wantError(t, http.StatusTooManyRequests, "ERR-1403")
	if e.Error.Details["limit"] != 2.0 || e.Error.Details["unit"] != "predictions" || !e.Retryable ||
		!strings.HasPrefix(e.Error.Message, "You have 2 predictions waiting") || r.header.Get("Retry-After") != "30" {
		t.Errorf("%+v, retry after %q", e, r.header.Get("Retry-After"))
	}
	if got := len(a.objectKeys()); got != before {
		t.Errorf("%d objects, before it was sent %d", got, before)
	}
	link := a.link(time.Hour, len(telecom), telecom)
	complete := "/upload-links/" + link.ID.String() + "/complete"
	a.do(http.MethodPost, complete, nil).wantError(t, http.StatusTooManyRequests, "ERR-1403")

	a.do(http.MethodPost, "/predictions/"+ids[0]+"/cancel", nil).want(t, http.StatusOK)
	if r := a.post("/upload", telecom, key); r.status != http.StatusOK && r.status != http.StatusAccepted {
		t.Errorf("with room again: %d %s", r.status, r.body)
	}
	a.do(http.MethodPost, complete, nil).wantError(t, http.StatusTooManyRequests, "ERR-1403")
}

// Dropped files and direct uploads over the limit are postponed, and each is scored once.
func TestC10DroppedFilesWait(t *testing.T) {
	a, ids := startFull(t)
	link, gone := a.link(time.Hour, len(telecom), telecom), a.link(time.Hour, 3, "abc")
	a.put("inbox/owner/april.csv", telecom)
	for _, key := range []string{store.DirectKey(link.ID), store.DirectKey(gone.ID), "inbox/owner/april.csv"} {
		if _, err := serve.HandleMessage(t.Context(), a.store, a.objects, a.log, created("b", key)); err != nil {
			t.Errorf("%s: the message stays: %v", key, err)
		}
	}
	look := func() {
		t.Helper()
		if err := serve.CompletePostponed(t.Context(), a.store, a.objects, a.log); err != nil {
			t.Fatal(err)
		}
		if err := serve.ScanInbox(t.Context(), a.store, a.objects, a.log); err != nil {
			t.Fatal(err)
		}
	}
	look()
	if got := a.predictions(); got != 2 {
		t.Fatalf("%d predictions while there is no room", got)
	}
	if err := a.objects.Delete(t.Context(), objects.Deleted, store.DirectKey(gone.ID)); err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).want(t, http.StatusOK)
		look()
		look()
		if got := a.predictions(); got != 3+i {
			t.Errorf("%d predictions when %d were cancelled", got, i+1)
		}
	}
	a.work()
	for _, name := range []string{"april.csv", link.Filename} {
		found := false
		for _, p := range a.get("/predictions").want(t, http.StatusOK).object(t)["predictions"].([]any) {
			p := p.(map[string]any)
			if p["filename"] == name && p["status"] != "cancelled" {
				found = a.ended(p["prediction_id"].(string))["status"] == "completed"
			}
		}
		if !found {
			t.Errorf("%s is not scored", name)
		}
	}
	if links, err := a.store.UploadLinks.Postponed(t.Context(), nil); err != nil || len(links) != 0 {
		t.Errorf("still postponed: %v, %v", links, err)
	}
}
