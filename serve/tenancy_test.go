package serve_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
)

// TestTenancy asks for every operation with an id as its owner, as another user, without a token and with an expired
// one. It takes the operations from the routes, so that a new one cannot be forgotten.
func TestTenancy(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	id := a.finished(bad)["prediction_id"].(string)
	expired := "Bearer " + signRS256(keyPair(), goodHeader, with(goodClaims(a.clock), "exp", a.clock.unix(-time.Hour)))
	missing := strings.NewReplacer("0", "1", "a", "b").Replace(id)
	checked := 0
	for _, o := range serve.Operations() {
		if !strings.Contains(o.Pattern, "{id}") {
			continue
		}
		checked++
		t.Run(o.Method+" "+o.Pattern, func(t *testing.T) {
			path := strings.Replace(o.Pattern, "{id}", id, 1)
			owner := a.do(o.Method, path, nil)
			if finished := strings.HasSuffix(path, "/cancel"); finished {
				owner.wantError(t, http.StatusConflict, "ERR-1106")
			} else {
				owner.want(t, http.StatusOK)
			}
			other := a.do(o.Method, path, nil, as(a.token("other")))
			theirs := other.wantError(t, http.StatusNotFound, "ERR-1101")
			absent := a.do(o.Method, strings.Replace(o.Pattern, "{id}", missing, 1), nil)
			none := absent.wantError(t, http.StatusNotFound, "ERR-1101")
			if theirs.Error.Message != none.Error.Message || len(theirs.Error.Details) != len(none.Error.Details) {
				t.Error("another user's prediction and a missing one are told apart")
			}
			a.do(o.Method, path, nil, as("")).wantError(t, http.StatusUnauthorized, "ERR-1203")
			a.do(o.Method, path, nil, as(expired)).wantError(t, http.StatusUnauthorized, "ERR-1202")
		})
	}
	if checked != 6 {
		t.Errorf("%d operations with an id: look whether each has its place in this test", checked)
	}
	if list := a.get("/predictions", as(a.token("other"))).object(t)["predictions"].([]any); len(list) != 0 {
		t.Errorf("another user sees %d predictions", len(list))
	}
}

// TestOpenRoutes wants a token everywhere but where the document says that none is needed.
func TestOpenRoutes(t *testing.T) {
	a := startAPI(t, nil)
	for _, o := range serve.Operations() {
		path := strings.NewReplacer("{id}", "x", "{name}", "telecom", "{code}", "ERR-1001").Replace(o.Pattern)
		r := a.do(o.Method, path, nil, as(""))
		if o.Open {
			r.want(t, http.StatusOK)
			continue
		}
		r.wantError(t, http.StatusUnauthorized, "ERR-1203")
		if got := r.header.Get("WWW-Authenticate"); got != `Bearer realm="millrace"` {
			t.Errorf("%s: WWW-Authenticate %q", path, got)
		}
	}
}

func TestCancelIsTheOwnersOnly(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	a.do(http.MethodPost, "/predictions/"+id+"/cancel", nil, as(a.token("other"))).
		wantError(t, http.StatusNotFound, "ERR-1101")
	if status := a.get("/predictions/" + id).object(t)["status"]; status != "queued" {
		t.Errorf("status %v after another user's cancel", status)
	}
}

func TestKeysUnavailable(t *testing.T) {
	a := startAPI(t, nil)
	a.issuer.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	r := a.get("/predictions")
	e := r.wantError(t, http.StatusServiceUnavailable, "ERR-1205")
	if !e.Retryable || r.header.Get("Retry-After") == "" {
		t.Error("not retryable")
	}
	if strings.Contains(string(r.body), "127.0.0.1") {
		t.Errorf("the answer names internals: %s", r.body)
	}
}
