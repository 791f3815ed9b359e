package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
)

// canary is a word that a customer sends in every possible place, and that only the customer may see again.
const canary = "CANARY-5f3a9c"

// TestLog_NoCustomerData plants the canary and looks for it in everything that operators or other users see: log, metrics,
// errors, admin pages. Request ids are excepted: clients choose them for the log, of letters, digits and dashes only.
func TestLog_NoCustomerData(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	a.plantInRequests(t)
	a.plantInIdentity(t)
	a.plantInFailures(t)

	admin := startAdmin(t, a, nil)
	letters := admin.get(t, "/dead-letters").want(t, http.StatusOK)
	seen := map[string]string{
		"log": a.log.String(), "metrics": string(admin.get(t, "/metrics").body), "dead letters": string(letters.body),
	}
	list := letters.object(t)["dead_letters"].([]any)
	if len(list) < 2 {
		t.Errorf("%d dead letters: the test means to make more", len(list))
	}
	for i, d := range list {
		path := "/dead-letters/" + d.(map[string]any)["prediction_id"].(string)
		seen[fmt.Sprint("attempts ", i)] = string(admin.get(t, path).want(t, http.StatusOK).body)
	}
	other := as(a.token("other"))
	for _, path := range []string{"/predictions", "/keys", "/models", "/ready", "/health", "/account"} {
		seen[path] = string(a.get(path, other).body)
	}
	for place, text := range seen {
		if i := strings.Index(strings.ToLower(text), strings.ToLower(canary)); i >= 0 {
			t.Errorf("found in %s: …%s", place, text[max(0, i-200):min(len(text), i+50)])
		}
	}
}

// plantInRequests sends the canary in whatever a request consists of, good and bad.
func (a *testAPI) plantInRequests(t *testing.T) {
	text := strings.ReplaceAll(bad, "A-2", canary)
	a.finished(text)
	a.finished(strings.Replace(telecom, "Contract", "Contract,"+canary, 1)) // a column too many in the header
	named := "/upload?filename=" + canary + ".csv"
	a.post(named, text, onceKey(canary)).want(t, http.StatusOK)
	a.post(named, telecom, onceKey(canary)).wantError(t, http.StatusUnprocessableEntity, "ERR-1312")
	a.post(named, strings.Replace(text, "tenure", canary, 1)).wantError(t, http.StatusBadRequest, "ERR-1004")
	a.post(named, "customerID,"+canary+","+canary+"\n"+canary+",\""+canary, header("Content-Digest", canary+"=:x:")).
		wantError(t, http.StatusBadRequest, "ERR-1004")
	a.post(named, text, header("Content-Digest", "sha-256="+canary)).
		wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	a.post("/upload?filename="+canary, text).wantError(t, http.StatusBadRequest, "ERR-1001")
	a.post("/upload?model="+canary, text).wantError(t, http.StatusNotFound, "ERR-1701")
	a.post("/upload", text, header("Content-Type", "text/"+canary)).
		wantError(t, http.StatusUnsupportedMediaType, "ERR-1310")
	a.post("/upload", text, header("Content-Encoding", canary)).
		wantError(t, http.StatusUnsupportedMediaType, "ERR-1310")
	a.post("/upload", text, header("Prefer", "wait="+canary)).
		wantError(t, http.StatusUnprocessableEntity, "ERR-1302")
	body, contentType := form(t, canary+".csv", []byte(text), canary, canary)
	a.postForm("/upload", body, contentType).wantError(t, http.StatusBadRequest, "ERR-1305")
	body, contentType = form(t, canary+".csv", []byte(text), "dataset", canary)
	a.postForm("/upload", body, contentType).want(t, http.StatusOK)
	a.postForm("/upload", body[:len(body)-80], contentType).wantError(t, http.StatusBadRequest, "ERR-1304")
	a.post("/validate", text).want(t, http.StatusOK)
	a.post("/score", text).want(t, http.StatusOK)
	a.get("/predictions?"+canary+"=1").wantError(t, http.StatusBadRequest, "ERR-1305")
	a.get("/predictions?cursor="+canary).wantError(t, http.StatusBadRequest, "ERR-1306")
	a.get("/"+canary).wantError(t, http.StatusNotFound, "ERR-1307")
	a.get("/models/"+canary).wantError(t, http.StatusNotFound, "ERR-1701")
	a.get("/predictions/"+canary, header("User-Agent", canary), header("Cookie", canary), header("Referer", canary),
		header("Origin", "https://"+canary), header("X-Forwarded-For", canary), header("Traceparent", canary)).
		wantError(t, http.StatusNotFound, "ERR-1101")
	_, _ = a.raw(canary + " /" + canary + " HTTP/1.1\r\nHost: " + canary + "\r\n" + canary + "\r\n\r\n")
}

// plantInIdentity sends the canary as token, as subject, and as the name of a key.
func (a *testAPI) plantInIdentity(t *testing.T) {
	for _, token := range []string{"Bearer " + canary, canary, "Bearer mr_" + canary, "Bearer " + canary + "." + canary + "." + canary} {
		if r := a.get("/models", as(token)); r.status != http.StatusUnauthorized {
			t.Errorf("token %q: %d", token, r.status)
		}
	}
	kid := signRS256(keyPair(), raw(`{"alg":"RS256","kid":"`+canary+`"}`), with(goodClaims(a.clock), "azp", canary))
	a.get("/models", as("Bearer "+kid)).wantError(t, http.StatusServiceUnavailable, "ERR-1205") // it may be a new key
	subject := as(a.token(canary))
	a.finished(bad, subject)
	a.postJSON("/keys", `{"name":"`+canary+`","scopes":["read"]}`).want(t, http.StatusCreated)
	a.postJSON("/keys", `{"name":"`+canary+`","`+canary+`":1}`).wantError(t, http.StatusBadRequest, "ERR-1304")
	a.do(http.MethodDelete, "/account", nil, subject).want(t, http.StatusNoContent)
	a.get("/models", subject).wantError(t, http.StatusUnauthorized, "ERR-1201")
}

// plantInFailures lets predictions die of files with the canary in them.
func (a *testAPI) plantInFailures(t *testing.T) {
	broken := strings.ReplaceAll(bad, "forty", canary)
	r := a.post("/upload?max_rejected=0", broken, header("Prefer", "wait=30")).want(t, http.StatusOK)
	if status := r.object(t)["status"]; status != "failed" && status != "dead" {
		t.Errorf("over its budget, but %v", status)
	}
	user, err := a.store.Accounts.EnsureUser(context.Background(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	key := objects.InboxPrefix + "owner/" + canary + ".csv"
	info, err := a.objects.Put(context.Background(), key, strings.NewReader("customerID,"+canary+"\n"+canary+",1\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := a.store.Predictions.EnqueueObject(context.Background(), store.NewObject{
		UserID: user.ID, Bucket: "b", Key: key, ETag: info.ETag, Modified: info.Modified, Bytes: info.Bytes,
		Filename: canary + ".csv",
	})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of a dropped file", func() bool {
		return a.get("/predictions/" + p.ID.String()).object(t)["done"] == true
	})
}

// TestLog_PseudonymousUsers expects a distinct pseudonym for each user in the log.
func TestLog_PseudonymousUsers(t *testing.T) {
	key := func(text string) func(*api.Config, *api.Parts) {
		return func(_ *api.Config, p *api.Parts) {
			var err error
			if p.CustomerKey, err = customer.NewKey([]byte(strings.Repeat(text, 32))); err != nil {
				t.Fatal(err)
			}
		}
	}
	names := func(a *testAPI) (list []string) {
		for _, who := range []string{"ann", "ann", "bob"} {
			a.get("/models", as(a.token(who))).want(t, http.StatusOK)
		}
		waitFor(t, "the log", func() bool { return strings.Count(a.log.String(), `"user"`) == 3 })
		for line := range strings.Lines(a.log.String()) {
			var entry struct{ User string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			list = append(list, entry.User)
		}
		return list
	}
	a := names(startAPI(t, key("a")))
	if len(a) != 3 || len(a[0]) != 16 || a[0] != a[1] || a[0] == a[2] {
		t.Errorf("users %v", a)
	}
	if b := names(startAPI(t, key("b"))); b[0] == a[0] {
		t.Error("the name does not depend on the secret")
	}
}
