package serve_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
)

const (
	keptNot   = "private, no-cache"
	keptADay  = "private, max-age=86400, immutable"
	varyNames = "Authorization"
)

// A user's settings may be kept for half a minute, by that user alone, and are asked for again after a change.
func TestC8AccountIsKeptForHalfAMinute(t *testing.T) {
	a := startAPI(t, nil)
	r := a.get("/account").want(t, http.StatusOK)
	if got := r.header.Get("Cache-Control"); got != "private, max-age=30" || r.header.Get("ETag") == "" ||
		!strings.Contains(r.header.Get("Vary"), varyNames) {
		t.Errorf("%v", r.header)
	}
	same := header("If-None-Match", r.header.Get("ETag"))
	a.get("/account", same).want(t, http.StatusNotModified)
	changed := a.do(http.MethodPut, "/account", strings.NewReader(`{"training_rate":0.5}`), same,
		header("Content-Type", "application/json")).want(t, http.StatusOK)
	if got := changed.header.Get("Cache-Control"); got != keptNot || changed.object(t)["training_rate"] != 0.5 {
		t.Errorf("the change: %s %s", got, changed.body)
	}
	a.get("/account", same).want(t, http.StatusOK)
	if r := a.get("/account", as("Bearer x")); r.header.Get("Cache-Control") != keptNot {
		t.Errorf("a refusal may be kept: %v", r.header)
	}
}

// Results that are finished may be kept at the addresses that name their generation, which are those of the links; at
// all others the client asks each time, with a tag.
func TestB21FinishedResultsAreKeptByGeneration(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	links := a.finished(bad)["links"].(map[string]any)
	for _, name := range []string{"download", "rejects", "rows"} {
		link := links[name].(string)
		if !strings.HasSuffix(link, "/"+name+"?generation=1") {
			t.Errorf("the link is %s", link)
		}
		for path, want := range map[string]string{link: keptADay, address(link): keptNot} {
			r := a.get(path).want(t, http.StatusOK)
			tag := r.header.Get("ETag")
			if got := r.header.Get("Cache-Control"); got != want || tag == "" ||
				!strings.Contains(r.header.Get("Vary"), varyNames) {
				t.Errorf("%s: %v", path, r.header)
			}
			again := a.get(path, header("If-None-Match", tag)).want(t, http.StatusNotModified)
			if got := again.header.Get("Cache-Control"); got != want {
				t.Errorf("%s, the same: %q", path, got)
			}
		}
		for generation, code := range map[string]string{
			"2": "ERR-1101", "0": "ERR-1302", "-1": "ERR-1302", "01": "ERR-1302", "": "ERR-1302", "x": "ERR-1302",
			"99999999999": "ERR-1302",
		} {
			r := a.get(address(link) + "?generation=" + generation)
			if got := r.header.Get("Cache-Control"); !strings.Contains(string(r.body), code) || got != keptNot {
				t.Errorf("%s of generation %q: %d %q %s", name, generation, r.status, got, r.body)
			}
		}
		other := a.get(link, as(a.token("somebody")))
		if other.wantError(t, http.StatusNotFound, "ERR-1101"); other.header.Get("Cache-Control") != keptNot {
			t.Errorf("%s of another user: %v", name, other.header)
		}
	}
	part := a.get(links["download"].(string), header("Range", "bytes=0-9")).want(t, http.StatusPartialContent)
	if got := part.header.Get("Cache-Control"); got != keptADay {
		t.Errorf("a range: %q", got)
	}
	past := a.get(links["download"].(string), header("Range", "bytes=999999-"))
	past.wantError(t, http.StatusRequestedRangeNotSatisfiable, "ERR-1311")
	if got := past.header.Get("Cache-Control"); got != keptNot {
		t.Errorf("a range past the end: %q", got)
	}
	a.do(http.MethodDelete, address(links["self"]), nil).want(t, http.StatusNoContent)
	for _, name := range []string{"download", "rejects", "rows"} {
		a.get(links[name].(string)).wantError(t, http.StatusNotFound, "ERR-1101")
	}
}

// What expires is kept no longer than until then, and answers that it has expired.
func TestB21NothingIsKeptBeyondItsEnd(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Retain = time.Hour })
	a.work()
	link := a.finished(telecom)["links"].(map[string]any)["download"].(string)
	var seconds int
	text := a.get(link).want(t, http.StatusOK).header.Get("Cache-Control")
	if _, err := fmt.Sscanf(text, "private, max-age=%d, immutable", &seconds); err != nil || seconds < 3000 || seconds > 3600 {
		t.Errorf("%q (%v)", text, err)
	}
	time.Sleep(2 * time.Millisecond)
	if n, err := a.store.Upkeep.Expire(context.Background(), time.Millisecond); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	r := a.get(link)
	if r.wantError(t, http.StatusGone, "ERR-1108"); r.header.Get("Cache-Control") != keptNot {
		t.Errorf("expired: %v", r.header)
	}
}

// A prediction that is scored again has new addresses for its results. The old ones are gone and never answer with the
// new bytes, neither while it runs nor afterwards; while it runs no link promises what may still change.
func TestB21AnotherGenerationHasOtherAddresses(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) {
		c.UploadLimits.PartBytes, c.UploadLimits.ChunkBytes = 32<<10, 4<<10
	})
	id := a.upload(rejectedCustomers(3000))
	_ = a.claim() // the first part is never done
	stop := a.work()
	user := a.owner()
	waitFor(t, "the other parts", func() bool {
		list, err := a.store.Predictions.List(t.Context(), user, store.ListQuery{Limit: 1})
		return err == nil && list[0].PartsTotal > 1 && list[0].PartsDone == list[0].PartsTotal-1
	})
	links := func() map[string]any { return a.get("/predictions/" + id).object(t)["links"].(map[string]any) }
	if got := links()["download"].(string); strings.Contains(got, "?") {
		t.Errorf("while it runs the link is %s", got)
	}
	a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil).want(t, http.StatusOK)
	waitFor(t, "the result", func() bool { return a.get("/predictions/"+id+"/download").status == http.StatusOK })
	old := links()
	for _, name := range []string{"download", "rejects", "rows"} {
		if got := a.get(old[name].(string)).want(t, http.StatusOK).header.Get("Cache-Control"); got != keptADay {
			t.Errorf("%s: %q", old[name], got)
		}
	}
	stop()
	gone := func(when string) {
		for _, name := range []string{"download", "rejects", "rows"} {
			r := a.get(old[name].(string))
			if r.wantError(t, http.StatusGone, "ERR-1108"); r.header.Get("Cache-Control") != keptNot {
				t.Errorf("%s, %s: %v", name, when, r.header)
			}
		}
	}
	if err := a.store.Upkeep.Retry(t.Context(), uuid.MustParse(id), store.Model{}); err != nil {
		t.Fatal(err)
	}
	gone("queued")
	a.get("/predictions/"+id+"/rows?generation=2").want(t, http.StatusOK)
	if got := a.get("/predictions/" + id + "/rows?generation=2").header.Get("Cache-Control"); got != keptNot {
		t.Errorf("rows of what is not finished: %q", got)
	}
	a.get("/predictions/"+id+"/download?generation=2").wantError(t, http.StatusConflict, "ERR-1105")
	a.work()
	waitFor(t, "the end", func() bool { return a.get("/predictions/" + id).object(t)["status"] == "completed" })
	gone("completed")
	if got := links()["download"].(string); !strings.HasSuffix(got, "?generation=2") {
		t.Errorf("the new link is %s", got)
	} else if r := a.get(got).want(t, http.StatusOK); r.header.Get("Cache-Control") != keptADay {
		t.Errorf("the new result: %v", r.header)
	}
}
