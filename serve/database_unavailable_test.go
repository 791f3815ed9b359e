package serve_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve"
)

// withoutDatabase are the routes with a token that need nothing of the database.
var withoutDatabase = []string{
	"POST /score", "POST /validate", "GET /models", "GET /models/{name}/template.csv",
}

// TestRoutes_UnreachableDatabaseError requests every route with a cached user and without a database: routes that need it
// answer with its code and are retryable, and all others succeed.
func TestRoutes_UnreachableDatabaseError(t *testing.T) {
	a := startAPIOnS3(t)
	stop := a.work()
	id := a.finished(telecom)["prediction_id"].(string)
	key, secret := a.accessKey("read")
	stop()
	a.store.Close()
	for _, o := range serve.Operations() {
		if o.Pattern == "/ready" {
			continue // which is about nothing else: see TestNotReady
		}
		thing := id
		if strings.HasPrefix(o.Pattern, "/keys") {
			thing = key
		}
		path := strings.NewReplacer("{id}", thing, "{name}", "telecom", "{code}", "ERR-1001").Replace(o.Pattern)
		body, contentType := telecom, "text/csv"
		switch o.Method + " " + o.Pattern {
		case "POST /upload-links":
			path += "?bytes=9"
		case "PUT /account":
			body, contentType = `{"training_rate":0.5}`, "application/json"
		case "POST /keys":
			body, contentType = `{"name":"mine","scopes":["read"]}`, "application/json"
		case "POST /outcomes":
			body = "customerID,churned\nA-1,yes\n"
		}
		send := func(options ...option) answer {
			if o.Method != http.MethodPost && o.Method != http.MethodPut || strings.Contains(o.Pattern, "{id}") {
				return a.do(o.Method, path, nil, options...)
			}
			options = append(options, header("Content-Type", contentType))
			return a.do(o.Method, path, strings.NewReader(body), options...)
		}
		if o.Open || slices.Contains(withoutDatabase, o.Method+" "+o.Pattern) {
			if r := send(); r.status != http.StatusOK {
				t.Errorf("%s %s needs nothing of the database: %d %s", o.Method, path, r.status, r.body)
			}
			continue
		}
		if r := send(); r.wantError(t, http.StatusServiceUnavailable, "ERR-1501").Retryable != true ||
			r.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %s", o.Method, path, r.body)
		}
		if o.Method == http.MethodPost {
			send(onceKey(path)).wantError(t, http.StatusServiceUnavailable, "ERR-1501")
		}
		a.do(o.Method, path, nil, as("Bearer "+secret)).wantError(t, http.StatusServiceUnavailable, "ERR-1501")
	}
}
