package serve_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/serve/internal/admin"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

// adminAPI is a running operators' server.
type adminAPI struct{ url string }

func startAdmin(t *testing.T, a *testAPI, issuer *auth.DevelopmentIssuer) *adminAPI {
	t.Helper()
	return startAdminWith(t, admin.Parts{Store: a.store, Metrics: a.metrics, Issuer: issuer})
}

func startAdminWith(t *testing.T, parts admin.Parts) *adminAPI {
	t.Helper()
	s := admin.NewServer(parts)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &adminAPI{"http://" + l.Addr().String()}
}

func (a *adminAPI) do(t *testing.T, method, path string) answer {
	t.Helper()
	req, _ := http.NewRequest(method, a.url+path, nil)
	req.Header.Set(admin.OperatorHeader, "yes")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body, resp.Close}
}

func (a *adminAPI) get(t *testing.T, path string) answer {
	return a.do(t, http.MethodGet, path).want(t, http.StatusOK)
}

// A process with the database login of the API refuses lists of dead letters, and names the listener to ask.
func TestAdmin_RequiresWorkerLogin(t *testing.T) {
	admin := storetest.Postgres(t)
	requests, work := storetest.Logins(admin)
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Store = storetest.Open(t, store.Config{URL: requests})
	})
	id := a.upload(telecom)
	refusing := startAdmin(t, a, nil)
	a.store = storetest.Open(t, store.Config{URL: work})
	failure := store.Failure{Code: "ERR-1102", Stage: "scoring", Message: "No.", Permanent: true}
	if err := a.store.Ledger.FailPart(t.Context(), a.claim(), failure); err != nil {
		t.Fatal(err)
	}
	allowing := startAdmin(t, a, nil)
	for _, route := range [][2]string{
		{http.MethodGet, "/dead-letters"},
		{http.MethodGet, "/dead-letters/" + id},
		{http.MethodPost, "/dead-letters/" + id + "/retry"},
		{http.MethodPost, "/predictions/" + id + "/cancel"},
		{http.MethodPost, "/dead-letters/retry?all=true"},
		{http.MethodPost, "/webhooks/retry"},
		{http.MethodPost, "/models/" + a.model("telecom").SHA256() + "/withdraw"},
	} {
		var e errorBody
		refused := refusing.do(t, route[0], route[1]).want(t, http.StatusForbidden)
		if err := json.Unmarshal(refused.body, &e); err != nil || e.Error.Code != "ERR-1204" ||
			!strings.Contains(e.Error.Message, "LOADER_DATABASE_URL") {
			t.Errorf("%s: %s, %v", route[1], refused.body, err)
		}
		allowing.do(t, route[0], route[1]).want(t, http.StatusOK)
	}
}

// A withdrawn model ends what waits for it with ERR-1702, takes no new file, and cannot be retried.
func TestWithdrawModel(t *testing.T) {
	a := startAPI(t, nil)
	admin := startAdmin(t, a, nil)
	id := a.upload(telecom)
	digest := a.model("telecom").SHA256()
	done := admin.do(t, http.MethodPost, "/models/"+digest+"/withdraw").want(t, http.StatusOK).object(t)
	if done["sha256"] != digest || done["predictions_failed"] != 1.0 {
		t.Errorf("%v", done)
	}
	view := a.get("/predictions/"+id).want(t, http.StatusOK).object(t)
	if view["status"] != "failed" || view["error"].(map[string]any)["code"] != "ERR-1702" {
		t.Errorf("%v", view)
	}
	before := len(a.objectKeys())
	a.post("/upload?model=telecom", telecom).wantError(t, http.StatusGone, "ERR-1702")
	if left := len(a.objectKeys()); left != before {
		t.Errorf("%d objects became %d", before, left)
	}
	var e errorBody
	for path, want := range map[string]string{
		"/dead-letters/" + id + "/retry": "ERR-1702", "/models/" + strings.Repeat("0", 64) + "/withdraw": "ERR-1701",
	} {
		if err := json.Unmarshal(admin.do(t, http.MethodPost, path).body, &e); err != nil || e.Error.Code != want {
			t.Errorf("%s: %s %v", path, e.Error.Code, err)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	a := startAPI(t, nil)
	admin := startAdmin(t, a, nil)
	id := a.upload(telecom)
	failure := store.Failure{Code: "ERR-1102", Stage: "scoring", Message: "No.", Permanent: true}
	if err := a.store.Ledger.FailPart(t.Context(), a.claim(), failure); err != nil {
		t.Fatal(err)
	}
	list := admin.get(t, "/dead-letters").object(t)["dead_letters"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["prediction_id"] != id {
		t.Fatalf("dead letters %v", list)
	}
	attempts := admin.get(t, "/dead-letters/"+id).object(t)["attempts"].([]any)
	if len(attempts) != 1 || attempts[0].(map[string]any)["worker"] != "test" {
		t.Errorf("attempts %v", attempts)
	}
	admin.do(t, http.MethodPost, "/dead-letters/"+id+"/retry").want(t, http.StatusOK)
	if status := a.get("/predictions/" + id).object(t)["status"]; status != "queued" {
		t.Errorf("status %v after the retry", status)
	}
	var e errorBody
	for path, code := range map[string]string{
		"/dead-letters/" + id + "/retry": "ERR-1106", "/dead-letters/x/retry": "ERR-1101",
		"/dead-letters/00000000-0000-4000-8000-000000000000/retry": "ERR-1101",
	} {
		if err := json.Unmarshal(admin.do(t, http.MethodPost, path).body, &e); err != nil || e.Error.Code != code {
			t.Errorf("%s: %v, %v", path, e.Error.Code, err)
		}
	}
	for _, query := range []string{"", "?all=yes", "?since=yesterday", "?all=true&dry_run=perhaps", "?all=true&cursor=x"} {
		if r := admin.do(t, http.MethodPost, "/dead-letters/retry"+query); r.status/100 != 4 {
			t.Errorf("%s: status %d", query, r.status)
		}
	}
	for path, code := range map[string]string{"/dead-letters/x": "ERR-1101", "/dead-letters?cursor=x": "ERR-1306"} {
		if err := json.Unmarshal(admin.do(t, http.MethodGet, path).body, &e); err != nil || e.Error.Code != code {
			t.Errorf("%s: %v, %v", path, e.Error.Code, err)
		}
	}
}

// Operators cancel a prediction of any user, who sees it cancelled.
func TestAdmin_Cancel(t *testing.T) {
	a := startAPI(t, nil)
	admin := startAdmin(t, a, nil)
	running := a.upload(telecom)
	for range 2 { // the second time changes nothing
		got := admin.do(t, http.MethodPost, "/predictions/"+running+"/cancel").want(t, http.StatusOK).object(t)
		if got["prediction_id"] != running || got["status"] != "cancelled" {
			t.Errorf("%v", got)
		}
	}
	if status := a.get("/predictions/" + running).object(t)["status"]; status != "cancelled" {
		t.Errorf("its owner sees it as %v", status)
	}
	a.work()
	done := a.finished(telecom)["prediction_id"].(string)
	for id, want := range map[string]struct {
		status int
		code   string
	}{
		done: {http.StatusConflict, "ERR-1106"}, "x": {http.StatusNotFound, "ERR-1101"},
		"00000000-0000-4000-8000-000000000000": {http.StatusNotFound, "ERR-1101"},
	} {
		var e errorBody
		r := admin.do(t, http.MethodPost, "/predictions/"+id+"/cancel")
		if err := json.Unmarshal(r.body, &e); err != nil || r.status != want.status || e.Error.Code != want.code {
			t.Errorf("%s: %d %s (%v)", id, r.status, r.body, err)
		}
	}
}

func TestDeadLetters_Pages(t *testing.T) {
	a := startAPI(t, nil)
	for range 101 {
		a.upload(telecom)
		if err := a.store.Ledger.FailPart(t.Context(), a.claim(), store.Failure{Permanent: true}); err != nil {
			t.Fatal(err)
		}
	}
	admin := startAdmin(t, a, nil)
	page := admin.get(t, "/dead-letters").object(t)
	if n := len(page["dead_letters"].([]any)); n != 100 {
		t.Errorf("%d on the first page", n)
	}
	page = admin.get(t, "/dead-letters?cursor="+page["next_cursor"].(string)).object(t)
	if n := len(page["dead_letters"].([]any)); n != 1 || page["next_cursor"] != nil {
		t.Errorf("%d on the second page, then %v", n, page["next_cursor"])
	}
}

func TestAdmin_DatabaseUnavailable(t *testing.T) {
	a := &testAPI{t: t, metrics: metrics.NewMetrics(), store: storetest.Open(t, store.Config{})}
	admin := startAdmin(t, a, nil)
	a.store.Close()
	for _, path := range []string{"/dead-letters", "/dead-letters/00000000-0000-4000-8000-000000000000"} {
		admin.do(t, http.MethodGet, path).want(t, http.StatusServiceUnavailable)
	}
	for _, path := range []string{
		"/dead-letters/00000000-0000-4000-8000-000000000000/retry", "/webhooks/retry",
		"/predictions/00000000-0000-4000-8000-000000000000/cancel",
	} {
		admin.do(t, http.MethodPost, path).want(t, http.StatusServiceUnavailable)
	}
}

func TestAdminDevelopmentKeys(t *testing.T) {
	issuer, err := auth.NewDevelopmentIssuer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := &testAPI{t: t, metrics: metrics.NewMetrics()}
	if got := startAdmin(t, a, issuer).get(t, "/.well-known/jwks.json").body; !bytes.Equal(got, issuer.JWKS()) {
		t.Errorf("got %s", got)
	}
	without := startAdmin(t, a, nil)
	if r := without.do(t, http.MethodGet, "/.well-known/jwks.json"); r.status != http.StatusNotFound {
		t.Errorf("keys without an issuer: %d", r.status)
	}
	without.get(t, "/debug/pprof/")
	if got := string(without.get(t, "/debug/pprof/cmdline").body); got != os.Args[0] || len(os.Args) < 2 {
		t.Errorf("the command line has %q", got)
	}
}

// TestAdmin_ForeignPages sends what web pages can make a browser send to the listener of an operator's machine: by another
// host name that leads here (DNS rebinding), from another site, and by forms. Nothing of it may be answered or done.
func TestAdmin_ForeignPages(t *testing.T) {
	a := startAPI(t, nil)
	id := a.upload(telecom)
	operators := startAdminWith(t, admin.Parts{Store: a.store, Metrics: a.metrics, Hosts: []string{"millrace-admin.example"}})
	port := operators.url[strings.LastIndexByte(operators.url, ':'):]
	send := func(method, path, host string, headers map[string]string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, operators.url+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for name, value := range headers {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	for host, want := range map[string]int{
		"127.0.0.1" + port: 200, "localhost" + port: 200, "LOCALHOST": 200, "127.5.5.5": 200, "[::1]" + port: 200,
		"millrace-admin.example:9090": 200, "Millrace-Admin.example.": 200, "[::ffff:127.0.0.1]": 200,
		"evil.example": 403, "evil.example" + port: 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
		"evil-localhost": 403, "10.1.2.3" + port: 403, "0.0.0.0" + port: 403, "[::]" + port: 403, "2130706433": 403,
		"xmillrace-admin.example": 403, "127.1": 403,
	} {
		for _, path := range []string{"/metrics", "/dead-letters", "/debug/pprof/", "/nothing"} {
			status, text := send(http.MethodGet, path, host, nil)
			if path == "/nothing" && status == 404 {
				status = 200
			}
			if status != want || status == 403 && strings.Contains(text, "millrace_") {
				t.Errorf("host %s, %s: %d %.200s", host, path, status, text)
			}
		}
	}
	cancel := "/predictions/" + id + "/cancel"
	local := "127.0.0.1" + port
	for name, headers := range map[string]map[string]string{
		"form":       {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"},
		"multipart":  {"Content-Type": "multipart/form-data; boundary=b"},
		"text":       {"Content-Type": "text/plain"},
		"nothing":    nil,
		"no value":   {"Millrace-Operator": ""},
		"cross-site": {"Millrace-Operator": "yes", "Sec-Fetch-Site": "cross-site"},
		"same-site":  {"Millrace-Operator": "yes", "Sec-Fetch-Site": "same-site"},
		"a form that is a link": {
			"Millrace-Operator": "yes", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
		},
	} {
		for _, path := range []string{cancel, "/webhooks/retry", "/dead-letters/retry?all=true", "/dead-letters/" + id + "/retry"} {
			if status, text := send(http.MethodPost, path, local, headers); status != http.StatusForbidden {
				t.Errorf("%s, %s: %d %s", name, path, status, text)
			}
		}
	}
	if status, _ := send(http.MethodGet, "/metrics", local, map[string]string{"Sec-Fetch-Site": "cross-site"}); status != 403 {
		t.Errorf("GET of another site: %d", status)
	}
	link := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
	if status, _ := send(http.MethodGet, "/metrics", local, link); status != 200 {
		t.Errorf("a link that is followed: %d", status)
	}
	link["Sec-Fetch-Dest"] = "iframe"
	if status, _ := send(http.MethodGet, "/metrics", local, link); status != 403 {
		t.Errorf("a frame: %d", status)
	}
	if status := a.get("/predictions/" + id).object(t)["status"]; status != "queued" {
		t.Errorf("the prediction is %v", status)
	}
	if status, text := send(http.MethodPost, cancel, local, map[string]string{"Millrace-Operator": "yes"}); status != 200 {
		t.Errorf("an operator: %d %s", status, text)
	}
}

// TestDeadLetters_NothingOfCustomers: what a failure quotes of a file is for its owner.
func TestDeadLetters_NothingOfCustomers(t *testing.T) {
	a := startAPI(t, nil)
	operators := startAdmin(t, a, nil)
	id := a.upload(telecom)
	failure := store.Failure{
		Code: "ERR-1004", Stage: "scoring", Message: "No column 'canary-column'.", Permanent: true,
		Details: json.RawMessage(`{"columns":[{"label":"canary-cell"}]}`),
	}
	if err := a.store.Ledger.FailPart(t.Context(), a.claim(), failure); err != nil {
		t.Fatal(err)
	}
	if own := string(a.get("/predictions/" + id).body); !strings.Contains(own, "canary-column") {
		t.Fatalf("the owner does not see it: %s", own)
	}
	for _, path := range []string{"/dead-letters", "/dead-letters/" + id} {
		text := string(operators.get(t, path).body)
		if strings.Contains(text, "canary") || !strings.Contains(text, `"code":"ERR-1004"`) || !strings.Contains(text, `"message":"`) {
			t.Errorf("%s: %s", path, text)
		}
	}
	dry := operators.do(t, http.MethodPost, "/dead-letters/retry?all=true&dry_run=true").want(t, http.StatusOK)
	if strings.Contains(string(dry.body), "canary") {
		t.Errorf("retry: %s", dry.body)
	}
}
