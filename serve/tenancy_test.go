package serve_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
)

// matrixRow is the answer of an operation to the owner of an id, and its answer for an unknown id, which another user gets
// as well. Requests without a valid token get the same answer everywhere.
type matrixRow struct {
	owner   int
	missing string
	scope   string // what an access key needs; empty: no key will do
}

// matrix has a row for every operation of the document whose path contains the id of a user's resource.
var matrix = map[string]matrixRow{
	"GET /predictions/{id}":          {http.StatusOK, "ERR-1101", "read"},
	"GET /predictions/{id}/download": {http.StatusOK, "ERR-1101", "read"},
	"GET /predictions/{id}/rejects":  {http.StatusOK, "ERR-1101", "read"},
	"GET /predictions/{id}/rows":     {http.StatusOK, "ERR-1101", "read"},
	"GET /predictions/{id}/events":   {http.StatusOK, "ERR-1101", "read"},
	"POST /predictions/{id}/cancel":  {http.StatusConflict, "ERR-1101", "write"}, // it is finished
	"DELETE /predictions/{id}":       {http.StatusNoContent, "ERR-1101", "delete"},
	"DELETE /keys/{id}":              {http.StatusNoContent, "ERR-1206", ""},

	"POST /upload-links/{id}/complete": {http.StatusConflict, "ERR-1101", "write"}, // nothing was put there
}

// sharedPaths contain a name or id of a resource that is shared by all users.
var sharedPaths = []string{"/models/", "/errors/"}

// TestTenancy goes through the OpenAPI document: each operation with an id for its owner, another user, no token, an
// expired one, a user whose account was deleted, and an access key without the scope.
func TestTenancy(t *testing.T) {
	a := startAPIOnS3(t) // where everything can be had
	a.work()
	rows := maps.Clone(matrix)
	doc := document(t)
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		shared := slices.ContainsFunc(sharedPaths, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
		if !strings.Contains(path, "{") || shared {
			continue
		}
		for method := range doc.Paths.Value(path).Operations() {
			name := method + " " + path
			row, ok := rows[name]
			if !ok {
				t.Errorf("%s has no row: say who may do it", name)
				continue
			}
			delete(rows, name)
			t.Run(name, func(t *testing.T) { a.testRow(t, method, path, row) })
		}
	}
	for name := range rows {
		t.Errorf("%s is not in the document", name)
	}
	if list := a.get("/predictions", as(a.token("other"))).object(t)["predictions"].([]any); len(list) != 0 {
		t.Errorf("another user sees %d predictions", len(list))
	}
}

func (a *testAPI) testRow(t *testing.T, method, path string, row matrixRow) {
	thing := a.finished(bad)["prediction_id"].(string)
	switch {
	case strings.HasPrefix(path, "/keys"):
		thing, _ = a.accessKey("read")
	case strings.HasPrefix(path, "/upload-links"):
		link := a.do(http.MethodPost, "/upload-links?filename=a.csv&bytes=9", nil).want(t, http.StatusCreated).object(t)
		complete := link["links"].(map[string]any)["complete"].(string)
		thing = strings.TrimSuffix(complete[strings.Index(complete, "/upload-links/")+len("/upload-links/"):], "/complete")
	}
	at := func(id string) string { return strings.Replace(path, "{id}", id, 1) }
	missing := strings.NewReplacer("0", "1", "a", "b").Replace(thing)
	for name, id := range map[string]string{"of another user": thing, "missing": missing} {
		a.do(method, at(id), nil, as(a.token("other"))).wantError(t, http.StatusNotFound, row.missing)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	theirs, none := a.do(method, at(thing), nil, as(a.token("other"))), a.do(method, at(missing), nil)
	if got, want := faceless(t, theirs), faceless(t, none); got != want {
		t.Errorf("the answers for another user's and a missing one differ:\n%s\n%s", got, want)
	}
	a.do(method, at(thing), nil, as("")).wantError(t, http.StatusUnauthorized, "ERR-1203")
	expired := "Bearer " + signRS256(keyPair(), goodHeader, with(goodClaims(a.clock), "exp", a.clock.unix(-time.Hour)))
	a.do(method, at(thing), nil, as(expired)).wantError(t, http.StatusUnauthorized, "ERR-1202")
	for _, scope := range []string{"read", "write", "delete"} {
		if scope == row.scope {
			continue
		}
		_, key := a.accessKey(scope)
		a.do(method, at(thing), nil, as("Bearer "+key)).wantError(t, http.StatusForbidden, "ERR-1204")
	}
	a.testDeletedUser(t, method, path)
	if r := a.do(method, at(thing), nil); r.status != row.owner {
		t.Errorf("owner: %d, want %d: %s", r.status, row.owner, r.body)
	}
}

// testDeletedUser asks for something of one's own after leaving, with the token and with a key from before.
func (a *testAPI) testDeletedUser(t *testing.T, method, path string) {
	gone := as(a.token("gone " + method + path))
	id := a.upload(telecom, gone)
	_, key := a.accessKey("read", gone)
	a.do(http.MethodDelete, "/account", nil, gone).want(t, http.StatusNoContent)
	own := strings.Replace(path, "{id}", id, 1)
	e := a.do(method, own, nil, gone).wantError(t, http.StatusUnauthorized, "ERR-1201")
	if e.Error.Message != "This account has been deleted." {
		t.Errorf("said %q", e.Error.Message)
	}
	a.do(method, own, nil, as("Bearer "+key)).wantError(t, http.StatusUnauthorized, "ERR-1201")
	if !strings.HasPrefix(path, "/keys") {
		a.do(method, own, nil).wantError(t, http.StatusNotFound, "ERR-1101")
	}
}

// faceless is an answer without what differs from request to request.
func faceless(t *testing.T, r answer) string {
	t.Helper()
	h := r.header.Clone()
	id := h.Get("X-Request-Id")
	h.Del("X-Request-Id")
	h.Del("Date")
	return fmt.Sprint(r.status, h, string(bytes.ReplaceAll(r.body, []byte(id), nil)))
}

// TestOpenRoutes expects a token everywhere but where the document says that none is needed.
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

func TestCancel_OwnerOnly(t *testing.T) {
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
