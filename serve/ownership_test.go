package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/admin"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// startOwned is an API whose database owns its objects.
func startOwned(t *testing.T) (*testAPI, *store.Owner) {
	t.Helper()
	return startOwnedWith(t, store.Config{})
}

func startOwnedWith(t *testing.T, c store.Config) (*testAPI, *store.Owner) {
	t.Helper()
	var owner *store.Owner
	c.URL = storetest.Postgres(t)
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Store = storetest.Open(t, c)
		owner = store.NewOwner(p.Store, p.Objects, p.Log)
		if err := owner.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Owner, p.Objects = owner, owner.Objects()
	})
	return a, owner
}

// mark changes what the store says of itself.
func (a *testAPI) mark(change func(*objects.Mark)) {
	a.t.Helper()
	m, _, err := objects.ReadMark(a.t.Context(), a.objects)
	if err != nil {
		a.t.Fatal(err)
	}
	change(&m)
	text, err := json.Marshal(m)
	if err == nil {
		_, err = a.objects.Put(a.t.Context(), objects.MarkKey, bytes.NewReader(text))
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

func wantReady(t *testing.T, a *testAPI, status int, installation string) {
	t.Helper()
	waitFor(t, "/ready to say that the installation is "+installation, func() bool { // it keeps an answer for a second
		answer := a.get("/ready")
		r := answer.object(t)
		if e, refused := r["error"].(map[string]any); refused {
			r = e["details"].(map[string]any)
		}
		return answer.status == status && r["checks"].(map[string]any)["installation"] == installation
	})
}

// A copy serves and scores, but no file is deleted until it is adopted: that is said in every place, and what customers
// ask for waits.
func TestOwnership_CopyDeletesNothing(t *testing.T) {
	a, owner := startOwned(t)
	wantReady(t, a, http.StatusOK, "ok")
	first, second := a.upload(telecom), a.upload(bad)
	a.do(http.MethodDelete, "/predictions/"+first, nil).want(t, http.StatusNoContent)
	a.mark(func(m *objects.Mark) { m.Sweeps += 3 })
	if state, err := owner.Check(t.Context()); state != store.Copy || err != nil {
		t.Fatal(state, err)
	}
	wantReady(t, a, http.StatusOK, "copy")
	before := a.objectKeys()
	answer := a.do(http.MethodDelete, "/predictions/"+second, nil).want(t, http.StatusAccepted).object(t)
	if answer["status"] != "queued" || answer["message"] == "" {
		t.Errorf("%v", answer)
	}
	a.get("/predictions/"+second).wantError(t, http.StatusNotFound, "ERR-1101")
	a.do(http.MethodDelete, "/predictions/"+second, nil).want(t, http.StatusAccepted)
	a.get("/account", as(a.token("leaving"))).want(t, http.StatusOK)
	a.do(http.MethodDelete, "/account", nil, as(a.token("leaving"))).want(t, http.StatusAccepted)
	if err := a.store.Upkeep.SweepDeletions(t.Context(), owner.Objects()); err == nil {
		t.Error("files were deleted")
	}
	if after := a.objectKeys(); !slices.Equal(before, after) || len(after) != 3 {
		t.Errorf("before %v, after %v", before, after)
	}
	view := startAdminWith(t, admin.Parts{Store: a.store, Owner: owner, Metrics: a.metrics}).get(t, "/installation").want(t, http.StatusOK).object(t)
	if view["state"] != "copy" || view["deletions_waiting"] != 2.0 {
		t.Errorf("%v", view)
	}

	if _, err := owner.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantReady(t, a, http.StatusOK, "ok")
	if err := a.store.Upkeep.SweepDeletions(t.Context(), owner.Objects()); err != nil {
		t.Error(err)
	}
}

// A process whose bucket was adopted by another installation is not ready.
func TestOwnership_ForeignBucketIsNotReady(t *testing.T) {
	a, owner := startOwned(t)
	a.mark(func(m *objects.Mark) { m.Installation = uuid.New() })
	if state, err := owner.Check(t.Context()); state != store.Stranger || err != nil {
		t.Fatal(state, err)
	}
	wantReady(t, a, http.StatusServiceUnavailable, "stranger")
	scrape := a.scrape()
	if !strings.Contains(scrape, `millrace_dependency_up{dependency="installation"} 0`) {
		t.Error("the metric does not say so")
	}
}

// A process whose bucket was replaced by another installation's fails no prediction for missing objects, and writes nothing.
func TestOwnership_ForeignBucketFailsNoPrediction(t *testing.T) {
	a, owner := startOwned(t)
	id := a.upload(telecom)
	input := a.onlyInput()
	body, _, err := a.objects.Get(t.Context(), input, objects.Range{}, "")
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close(), a.objects.Delete(t.Context(), objects.Deleted, input)); err != nil {
		t.Fatal(err)
	}
	var was uuid.UUID
	a.mark(func(m *objects.Mark) { was, m.Installation = m.Installation, uuid.New() })
	a.workWith(owner.Objects())
	a.untilReason(id, "waiting for the storage to come back")
	if state, err := owner.Check(t.Context()); state != store.Stranger || err != nil {
		t.Fatal(state, err)
	}
	a.post("/upload", telecom).wantError(t, http.StatusServiceUnavailable, "ERR-1502")
	if keys := a.objectKeys(); len(keys) != 1 {
		t.Errorf("stored %v", keys)
	}
	a.mark(func(m *objects.Mark) { m.Installation = was })
	if _, err := a.objects.Put(t.Context(), input, bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if state, err := owner.Check(t.Context()); state != store.Owned || err != nil {
		t.Fatal(state, err)
	}
	if view := a.ended(id); view["status"] != "completed" {
		t.Errorf("%v", view)
	}
	a.wantNothingCharged(t, []string{id})
}

// Files that are dropped into another installation's bucket are not enqueued.
func TestOwnership_ForeignBucketKeepsInbox(t *testing.T) {
	a, owner := startOwned(t)
	a.put("inbox/owner/march.csv", telecom)
	a.age("inbox/owner/march.csv", time.Hour)
	var was uuid.UUID
	a.mark(func(m *objects.Mark) { was, m.Installation = m.Installation, uuid.New() })
	dropped := func(want int) {
		t.Helper()
		if err := serve.UpkeepOnce(t.Context(), a.store, owner, a.log); err != nil {
			t.Fatal(err)
		}
		if n := len(a.get("/predictions", as(a.token("owner"))).object(t)["predictions"].([]any)); n != want {
			t.Errorf("%d predictions, want %d", n, want)
		}
	}
	dropped(0)
	a.mark(func(m *objects.Mark) { m.Installation = was })
	dropped(1)
}

// A refused upload whose file cannot be removed now is removed later.
func TestUpload_RefusedFileIsDeletedLater(t *testing.T) {
	a, owner := startOwnedWith(t, store.Config{WaitingMax: 1})
	a.upload(telecom)
	before := a.objectKeys()
	a.mark(func(m *objects.Mark) { m.Disputed = true })
	a.post("/upload", telecom).wantError(t, http.StatusTooManyRequests, "ERR-1403") // when its file was stored
	if keys := a.objectKeys(); len(keys) != len(before)+1 {
		t.Errorf("stored %v", keys)
	}
	a.mark(func(m *objects.Mark) { m.Disputed = false })
	if err := a.store.Upkeep.SweepDeletions(t.Context(), owner.Objects()); err != nil {
		t.Fatal(err)
	}
	if keys := a.objectKeys(); !slices.Equal(keys, before) {
		t.Errorf("left %v, before there were %v", keys, before)
	}
}

// While the process runs it notices that the store is disputed, says so in metrics and log, and notices the end of it.
func TestOwnership_WatchDetectsDispute(t *testing.T) {
	a, owner := startOwned(t)
	a.mark(func(m *objects.Mark) { m.Disputed = true })
	whileRunning(t, func(ctx context.Context) { serve.WatchOwner(ctx, owner, a.store, a.metrics, a.log) }, func() bool {
		return strings.Contains(a.scrape(), `millrace_installation_state{state="disputed"} 1`) &&
			strings.Contains(a.log.String(), `"is":"disputed"`)
	})
	a.mark(func(m *objects.Mark) { m.Disputed = false })
	whileRunning(t, func(ctx context.Context) { serve.WatchOwner(ctx, owner, a.store, a.metrics, a.log) }, func() bool {
		return strings.Contains(a.scrape(), `millrace_installation_state{state="owned"} 1`)
	})
}

// Nothing is swept before all has been well for a while, and after a failure the while begins anew.
func TestUpkeep_SweepsOnlyAfterHealthyPeriod(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		well  []bool
		want  []bool
	}{
		{time.Minute, []bool{true, true}, []bool{false, true}},
		{time.Minute, []bool{true, true, false, true, true}, []bool{false, true, false, false, true}},
		{time.Hour, []bool{true, true, true}, []bool{false, false, false}},
	} {
		if got := serve.MaySweep(c.after, c.well); !slices.Equal(got, c.want) {
			t.Errorf("after %s, well %v: swept %v, want %v", c.after, c.well, got, c.want)
		}
	}
}
