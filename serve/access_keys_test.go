package serve_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/store"
)

func (a *testAPI) postJSON(path, text string, options ...option) answer {
	a.t.Helper()
	return a.do(http.MethodPost, path, strings.NewReader(text), append([]option{header("Content-Type",
		"application/json")}, options...)...)
}

// accessKey makes a key with one scope and gives its id and secret.
func (a *testAPI) accessKey(scope string, options ...option) (id, secret string) {
	a.t.Helper()
	r := a.postJSON("/keys", `{"name":"job","scopes":["`+scope+`"]}`, options...).want(a.t, http.StatusCreated)
	view := r.object(a.t)
	return view["id"].(string), view["key"].(string)
}

func TestAccessKeys(t *testing.T) {
	a := startAPI(t, nil)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	r := a.postJSON("/keys", fmt.Sprintf(`{"name":" nightly ","scopes":["write","read"],"expires_at":%q}`,
		expires.Format(time.RFC3339Nano))).want(t, http.StatusCreated)
	made := r.object(t)
	secret := made["key"].(string)
	if !strings.HasPrefix(secret, "mr_") || len(secret) != 46 || !strings.HasPrefix(secret, made["prefix"].(string)) ||
		made["name"] != "nightly" || fmt.Sprint(made["scopes"]) != "[read write]" || made["last_used_at"] != nil {
		t.Errorf("made %v", made)
	}
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the answer with the secret may be cached: %s", got)
	}
	key := as("Bearer " + secret)
	id := a.upload(telecom, key)
	a.get("/predictions/"+id).want(t, http.StatusOK) // it is the user's own
	a.get("/predictions/"+id, key).want(t, http.StatusOK)
	e := a.do(http.MethodDelete, "/predictions/"+id, nil, key).wantError(t, http.StatusForbidden, "ERR-1204")
	if fmt.Sprint(e.Error.Details) != "map[actual:[read write] expected:[delete]]" {
		t.Errorf("details %v", e.Error.Details)
	}
	a.postJSON("/keys", `{"name":"x","scopes":["read"]}`, key).wantError(t, http.StatusForbidden, "ERR-1204")
	a.get("/keys", key).wantError(t, http.StatusForbidden, "ERR-1204")
	a.do(http.MethodDelete, "/keys/"+made["id"].(string), nil, key).wantError(t, http.StatusForbidden, "ERR-1204")
	a.do(http.MethodDelete, "/account", nil, key).wantError(t, http.StatusForbidden, "ERR-1204")

	list := a.get("/keys").want(t, http.StatusOK).object(t)["keys"].([]any)
	if len(list) != 1 {
		t.Fatalf("%d keys", len(list))
	}
	listed := list[0].(map[string]any)
	if _, shown := listed["key"]; shown || listed["last_used_at"] == nil || listed["prefix"] != made["prefix"] ||
		listed["expires_at"] != expires.Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("listed %v", listed)
	}
	if got := a.get("/keys", as(a.token("other"))).object(t)["keys"].([]any); len(got) != 0 {
		t.Error("another user sees the key")
	}
	a.do(http.MethodDelete, "/keys/"+made["id"].(string), nil).want(t, http.StatusNoContent)
	a.get("/predictions", key).wantError(t, http.StatusUnauthorized, "ERR-1201")
	a.do(http.MethodDelete, "/keys/"+made["id"].(string), nil).wantError(t, http.StatusNotFound, "ERR-1206")
	a.do(http.MethodDelete, "/keys/x", nil).wantError(t, http.StatusNotFound, "ERR-1206")
	if strings.Contains(a.log.String(), secret) {
		t.Error("the secret is in the log")
	}
}

func TestAccessKeys_Refused(t *testing.T) {
	a := startAPI(t, nil)
	_, secret := a.accessKey("read")
	for name, token := range map[string]string{
		"unknown": "mr_" + strings.Repeat("A", 43), "short": "mr_A", "empty": "mr_", "longer": secret + "A",
		"other case": "MR_" + secret[3:],
	} {
		if r := a.get("/models", as("Bearer "+token)); r.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, r.status)
		}
	}
	a.get("/models", as("Basic "+secret)).wantError(t, http.StatusUnauthorized, "ERR-1203")
	old, past := "mr_"+strings.Repeat("B", 43), time.Now().Add(-time.Second)
	_, err := a.store.Accounts.CreateAccessKey(context.Background(), a.owner(), store.AccessKey{
		Name: "old", Prefix: "mr_BBBBB", Scopes: []string{"read"}, ExpiresAt: &past,
	}, sha256.Sum256([]byte(old)), nil)
	if err != nil {
		t.Fatal(err)
	}
	a.get("/models", as("Bearer "+old)).wantError(t, http.StatusUnauthorized, "ERR-1202")
}

func TestAccessKeys_RequestBodies(t *testing.T) {
	a := startAPI(t, nil)
	for body, code := range map[string]string{
		`{"scopes":["read"]}`:                                                "ERR-1301",
		`{"name":" ","scopes":["read"]}`:                                     "ERR-1301",
		`{"name":"x"}`:                                                       "ERR-1301",
		`{"name":"x","scopes":[]}`:                                           "ERR-1301",
		`{"name":"x","scopes":["admin"]}`:                                    "ERR-1302",
		`{"name":"x","scopes":["read","read"]}`:                              "ERR-1302",
		`{"name":"a\u202eb","scopes":["read"]}`:                              "ERR-1302",
		`{"name":"` + strings.Repeat("x", 101) + `","scopes":["read"]}`:      "ERR-1302",
		`{"name":"x","scopes":["read"],"expires_at":"2020-01-01T00:00:00Z"}`: "ERR-1303",
		`{"name":"x","scopes":["read"],"expires_at":"2120-01-01T00:00:00Z"}`: "ERR-1303",
		`{"name":"x","scopes":["read"],"user_id":1}`:                         "ERR-1304",
		`{"name":"x","scopes":["read"]}{}`:                                   "ERR-1304",
		`{"name":"x","scopes":"read"}`:                                       "ERR-1304",
		`[]`:                                                                 "ERR-1304",
		``:                                                                   "ERR-1304",
		`{"name":"` + strings.Repeat("x", 20<<10) + `","scopes":["read"]}`: "ERR-1002",
		`{"name":"x","scopes":["read"],"expires_at":"tomorrow"}`:           "ERR-1304",
	} {
		status := map[string]int{"ERR-1304": 400, "ERR-1002": 413}[code]
		if status == 0 {
			status = 422
		}
		a.postJSON("/keys", body).wantError(t, status, code)
	}
	a.post("/keys", `{}`).wantError(t, http.StatusUnsupportedMediaType, "ERR-1310")
	for range store.AccessKeysMax {
		a.accessKey("read")
	}
	a.postJSON("/keys", `{"name":"x","scopes":["read"]}`).wantError(t, http.StatusConflict, "ERR-1106")
}

// TestAccessKeys_ShareRateLimit spends a user's budget with a token and with a key.
func TestAccessKeys_ShareRateLimit(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Rates = &limit.Rates{Default: 4} })
	_, secret := a.accessKey("read")
	key := as("Bearer " + secret)
	a.get("/models").want(t, http.StatusOK)
	a.get("/models", key).want(t, http.StatusOK)
	a.get("/models", key).want(t, http.StatusOK)
	a.get("/models", key).wantError(t, http.StatusTooManyRequests, "ERR-1401")
	a.get("/models").wantError(t, http.StatusTooManyRequests, "ERR-1401")
}

// queries returns how many connections f has taken from the pool: each query of a request takes one.
func (a *testAPI) queries(f func()) int64 {
	before := a.store.PoolState().Acquires
	f()
	return a.store.PoolState().Acquires - before
}

// TestRefusals_AreCheap floods the API with keys and requests that are refused: the database is asked for those within the
// budget only, while a key that was valid works on from the same address.
func TestRefusals_AreCheap(t *testing.T) {
	const allowed = 60 // invalid tokens a minute
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.Rates = &limit.Rates{Default: 40} })
	_, valid := a.accessKey("read")
	_, later := a.accessKey("read", as(a.token("later")))
	random := func(n int) string { return fmt.Sprintf("Bearer mr_%043d", n) }
	a.get("/account", as("Bearer "+valid)).want(t, http.StatusOK)

	if n := a.queries(func() {
		for range 30 {
			a.get("/account", as(random(0))).wantError(t, http.StatusUnauthorized, "ERR-1201")
		}
	}); n > 30+1 { // each is charged to the address, and one is looked up
		t.Errorf("one unknown key, 30 times: %d queries", n)
	}
	statuses := map[int]int{}
	if n := a.queries(func() {
		for i := range 500 {
			statuses[a.get([]string{"/account", "/nothing"}[i%2], as(random(i+1))).status]++
		}
	}); n > 3*allowed {
		t.Errorf("500 unknown keys: %d queries", n)
	}
	if statuses[http.StatusTooManyRequests] < 500-2*allowed {
		t.Errorf("500 unknown keys were answered %v", statuses)
	}
	a.get("/account", as("Bearer "+valid)).want(t, http.StatusOK)
	a.get("/account").want(t, http.StatusOK) // a token
	a.get("/account", as("Bearer "+later)).wantError(t, http.StatusTooManyRequests, "ERR-1401")

	for range 60 { // spend the user's budget
		a.get("/account", as("Bearer "+valid))
	}
	granted := int64(0)
	if n := a.queries(func() {
		for range 100 {
			r := a.get("/account", as("Bearer "+valid))
			if r.status == http.StatusOK { // one every 1.5 s
				granted++
				continue
			}
			r.wantError(t, http.StatusTooManyRequests, "ERR-1401")
			if r.header.Get("RateLimit") == "" || r.header.Get("Retry-After") == "" {
				t.Fatalf("headers %v", r.header)
			}
		}
	}); granted > 50 || n > 4*granted {
		t.Errorf("100 requests of a spent user, of which %d were granted: %d queries", granted, n)
	}
}
