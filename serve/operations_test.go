package serve_test

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/awsclient"
)

func TestHealthAndReadiness(t *testing.T) {
	a := startAPI(t, nil)
	if got := a.get("/health").want(t, http.StatusOK).object(t)["status"]; got != "ok" {
		t.Errorf("health %v", got)
	}
	ready := a.get("/ready").want(t, http.StatusOK).object(t)
	if ready["status"] != "ready" || len(ready["checks"].(map[string]any)) != 3 {
		t.Errorf("ready %v", ready)
	}
	a.store.Close()
	waitFor(t, "a check", func() bool { return a.get("/ready").status != http.StatusOK }) // the last one counts for a second
	e := a.get("/ready").wantError(t, http.StatusServiceUnavailable, "ERR-1501")
	checks := e.Error.Details["checks"].(map[string]any)
	if checks["database"] != "unavailable" || checks["object_store"] != "ok" || checks["models"] != "ok" {
		t.Errorf("checks %v", checks)
	}
	a.get("/health").want(t, http.StatusOK)
	a.get("/predictions").wantError(t, http.StatusServiceUnavailable, "ERR-1501")
}

func TestNotReady(t *testing.T) {
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Models, _ = engine.NewRegistry()
	})
	a.get("/ready").wantError(t, http.StatusServiceUnavailable, "ERR-1500")
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	a.post("/upload", telecom).wantError(t, http.StatusInternalServerError, "ERR-1500")
}

func TestServe_ObjectStoreUnavailable(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	view := a.finished(telecom)
	if err := os.RemoveAll(a.dir + "/results"); err != nil {
		t.Fatal(err)
	}
	a.get(view["links"].(map[string]any)["download"].(string)).
		wantError(t, http.StatusGone, "ERR-1110")
	if err := os.Remove(a.dir + "/uploads"); err == nil {
		t.Fatal("uploads were there")
	}
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	a.post("/upload", telecom).wantError(t, http.StatusServiceUnavailable, "ERR-1502")
}

func TestModels(t *testing.T) {
	a := startAPI(t, nil)
	list := a.get("/models").want(t, http.StatusOK).object(t)["models"].([]any)
	if len(list) != 2 {
		t.Fatalf("%d models", len(list))
	}
	for _, name := range []string{"saas", "telecom"} {
		model := a.get("/models/"+name).want(t, http.StatusOK).object(t)
		if model["name"] != name || len(model["columns"].([]any)) < 5 || len(model["risk_bands"].([]any)) < 2 ||
			len(model["sha256"].(string)) != 64 {
			t.Errorf("%s: %v", name, model)
		}
		template := a.get(model["links"].(map[string]any)["template"].(string)).want(t, http.StatusOK)
		first := model["columns"].([]any)[0].(map[string]any)["name"].(string)
		if !strings.HasPrefix(string(template.body), first+",") || !strings.HasSuffix(string(template.body), "\n") {
			t.Errorf("%s: template %q", name, template.body)
		}
		// A template without rows names the model by its columns and lacks nothing but rows.
		a.post("/upload", string(template.body)).wantError(t, http.StatusBadRequest, "ERR-1005")
	}
	e := a.get("/models/weather").wantError(t, http.StatusNotFound, "ERR-1701")
	if want := "There is no model named 'weather'. Available: saas and telecom."; e.Error.Message != want {
		t.Errorf("got %q", e.Error.Message)
	}
	a.get("/models/weather/template.csv").wantError(t, http.StatusNotFound, "ERR-1701")
}

func TestSamples(t *testing.T) {
	a := startAPI(t, nil)
	for _, name := range []string{"saas", "telecom"} {
		r := a.get("/csv-samples/"+name, as("")).want(t, http.StatusOK)
		if got := a.post("/upload", string(r.body)).want(t, http.StatusOK).object(t)["model"]; got != name {
			t.Errorf("the sample of %s is scored with %v", name, got)
		}
	}
	a.get("/csv-samples/weather").wantError(t, http.StatusNotFound, "ERR-1307")
	none := startAPI(t, func(_ *api.Config, p *api.Parts) { p.Samples = nil })
	none.get("/csv-samples/saas").wantError(t, http.StatusNotFound, "ERR-1307")
	other := startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Samples = func(string) ([]byte, bool) { return nil, false }
	})
	other.get("/csv-samples/saas").wantError(t, http.StatusNotFound, "ERR-1307")
}

// TestErrorPages expects a page for every code, and in every error a link that leads to one.
func TestErrorPages(t *testing.T) {
	a := startAPI(t, nil)
	list := a.get("/errors", header("Accept", "application/json")).want(t, http.StatusOK).object(t)["errors"].([]any)
	if len(list) != len(serve.AllCodes()) {
		t.Errorf("%d codes listed, %d exist", len(list), len(serve.AllCodes()))
	}
	index := a.get("/errors").want(t, http.StatusOK)
	for _, code := range serve.AllCodes() {
		page := a.get("/errors/"+code.String()).want(t, http.StatusOK)
		if !bytes.Contains(page.body, []byte(code.String())) || !strings.HasPrefix(page.header.Get("Content-Type"),
			"text/html") {
			t.Errorf("%s: %.100s", code, page.body)
		}
		if !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: no content security policy", code)
		}
		if !bytes.Contains(index.body, []byte(`href="errors/`+code.String()+`"`)) {
			t.Errorf("%s is not in the list", code)
		}
		view := a.get("/errors/"+code.String(), header("Accept", "application/json")).want(t, http.StatusOK).object(t)
		if view["message"] != code.Message() || view["advice"] == "" || view["title"] == "" || code.Message() == "" {
			t.Errorf("%s: %v", code, view)
		}
		if status := code.Status(); status != 0 && (status < 400 || status > 599) {
			t.Errorf("%s: status %d", code, status)
		}
	}
	for _, wrong := range []string{"ERR-9999", "x", "ERR-1", "ERR-+100"} {
		a.get("/errors/"+wrong).wantError(t, http.StatusNotFound, "ERR-1307")
	}
	a.get("/errors/1004").want(t, http.StatusOK)
	e := a.get("/nothing").wantError(t, http.StatusNotFound, "ERR-1307")
	a.get(e.Error.SupportURL).want(t, http.StatusOK)
}

// TestPublishedCodes pins the numbers and statuses that customers' programs know.
func TestPublishedCodes(t *testing.T) {
	for code, want := range map[fault.Code]int{
		1001: 400, 1002: 413, 1003: 400, 1004: 400, 1101: 404, 1102: 409, 1103: 409, 1201: 401, 1202: 401, 1203: 401,
		1301: 422, 1302: 422, 1303: 422, 1500: 500, 1501: 503, 1502: 503, 1503: 503,
	} {
		if got := code.Status(); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

func TestProblemForm(t *testing.T) {
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.SupportURL = "https://help.example.com/errors/" })
	r := a.get("/predictions?limit=0", header("Accept", "text/html, application/problem+json;q=0.9"))
	if r.status != 422 || r.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s", r.status, r.header.Get("Content-Type"))
	}
	got := r.object(t)
	for name, want := range map[string]any{
		"type": "https://help.example.com/errors/ERR-1303", "title": "Out of range", "status": 422.0,
		"detail": "'limit' must be between 1 and 100.", "instance": "/predictions", "code": "ERR-1303",
		"retryable": false, "request_id": r.header.Get("X-Request-Id"),
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	a := startAPI(t, nil)
	if got := a.get("/health", header("X-Request-Id", "mine-7_A")).header.Get("X-Request-Id"); got != "mine-7_A" {
		t.Errorf("got %q", got)
	}
	for _, bad := range []string{"a b", `"`, strings.Repeat("x", 65), "é", "<script>"} {
		if got := a.get("/health", header("X-Request-Id", bad)).header.Get("X-Request-Id"); got == bad || len(got) != 36 {
			t.Errorf("%q was answered with %q", bad, got)
		}
	}
}

func TestCORS(t *testing.T) {
	a := startAPI(t, nil)
	r := a.get("/models", header("Origin", origin)).want(t, http.StatusOK)
	if got := r.header.Get("Access-Control-Allow-Origin"); got != origin {
		t.Errorf("allowed origin: %q", got)
	}
	if !strings.Contains(r.header.Get("Vary"), "Origin") || r.header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("headers %v", r.header)
	}
	for _, other := range []string{
		"null", "*", "https://evil.example.com", origin + ".evil.com",
		"http://" + origin[8:], strings.ToUpper(origin),
	} {
		if got := a.get("/models", header("Origin", other)).header; got.Get("Access-Control-Allow-Origin") != "" ||
			got.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s is let in: %q", other, got)
		}
	}
	r = a.do(http.MethodOptions, "/upload", nil, as(""), header("Origin", origin),
		header("Access-Control-Request-Method", "POST"))
	if r.status != http.StatusNoContent || r.header.Get("Access-Control-Allow-Methods") != "OPTIONS, POST" ||
		!strings.Contains(r.header.Get("Access-Control-Allow-Headers"), "Authorization") ||
		r.header.Get("Access-Control-Max-Age") == "" {
		t.Errorf("preflight: %d %v", r.status, r.header)
	}
	r = a.do(http.MethodOptions, "/upload", nil, as(""), header("Origin", "https://evil.example.com"),
		header("Access-Control-Request-Method", "POST"))
	if r.status != http.StatusNoContent || r.header.Get("Access-Control-Allow-Methods") != "" ||
		r.header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("preflight of another origin: %d %v", r.status, r.header)
	}
	a.do(http.MethodOptions, "/nothing", nil).wantError(t, http.StatusNotFound, "ERR-1307")
}

func TestCacheControl_Revalidate(t *testing.T) {
	a := startAPI(t, nil)
	r := a.get("/predictions").want(t, http.StatusOK)
	for name, want := range map[string]string{
		"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff",
		"Vary": "Authorization, Accept, Accept-Encoding, Origin",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	a.finished(bad)
	a.get("/predictions/x")
	a.do("PROPFIND", "/predictions", nil)
	admin := startAdmin(t, a, nil)
	var text string
	waitFor(t, "the end to be counted", func() bool { // right behind the commit that publishes it
		text = string(admin.get(t, "/metrics").body)
		return strings.Contains(text, `millrace_prediction_duration_seconds_count{result="completed",size_class="10k"} 1`)
	})
	for _, want := range []string{
		`millrace_http_requests_total{method="POST",route="/upload",status="200"} 1`,
		`millrace_http_requests_total{method="GET",route="/predictions/{id}",status="404"} 1`,
		`millrace_http_requests_total{method="other",route="none",status="405"} 1`,
		`millrace_http_errors_total{code="ERR-1101"} 1`,
		`millrace_http_requests_in_flight 0`,
		`millrace_stage_rows_total{outcome="done",stage="chunk"} 3`,
		`millrace_stage_rows_total{outcome="done",stage="parse"} 2`,
		`millrace_stage_rows_total{outcome="rejected",stage="parse"} 1`,
		`millrace_stage_rows_total{outcome="done",stage="score"} 2`,
		`millrace_stage_rows_total{outcome="done",stage="explain"} 2`,
		`millrace_stage_rows_total{outcome="done",stage="encode"} 2`,
		`millrace_stage_rows_total{outcome="done",stage="put"} 3`,
		`millrace_stage_rows_total{outcome="done",stage="copy"} 2`,
		`millrace_stage_in_flight{stage="copy"} 0`,
		`millrace_stage_queue_depth{stage="put"} 0`,
		`millrace_prediction_queue_wait_seconds_count 1`,
		`millrace_time_to_first_result_seconds_count 1`,
		`millrace_rejects_total{code="ERR-1602"} 1`,
		`millrace_attempts_total{result="committed"} 1`,
		`millrace_accounting_mismatch_total 0`,
		`millrace_workers 4`,
		`go_goroutines`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, edge := range []string{"0.005", "0.01", "0.025", "0.05", "0.06", "0.1", "2", "10"} {
		if !strings.Contains(text,
			`millrace_http_request_duration_seconds_bucket{method="POST",route="/upload",le="`+edge+`"}`) {
			t.Errorf("no bucket that ends at %s", edge)
		}
	}
	if strings.Contains(text, "owner") || strings.Contains(text, "march") {
		t.Error("a label names a user or a file")
	}
}

func TestWorkerMetrics(t *testing.T) {
	m := metrics.NewMetrics()
	for rows, status := range map[int64]store.Status{
		5_000: store.Completed, 50_000: store.Dead, 500_000: store.Completed, 5_000_000: store.Completed,
	} {
		m.PredictionDone(store.Times{Rows: rows, Status: status, Queued: time.Second, InAll: 2 * time.Second})
	}
	m.SetQueue(store.QueueState{Queued: 3, Running: 2, Dead: 1, Oldest: 5 * time.Second, Outbox: 4})
	m.CallDone(awsclient.Call{Service: "s3", Operation: "PutObject", Retries: 2, Took: time.Second, Result: awsclient.CallFailed})
	m.WatchPool(func() store.PoolState { return store.PoolState{Acquired: 3, Max: 16, Waits: 2, Waited: time.Second} })
	m.WatchDisk(t.TempDir())
	m.Fenced()
	m.ModelRefused()
	m.ModelLoaded("telecom", "1", "abc", 30*time.Millisecond)
	m.PartDone(metrics.AttemptLost, 0)
	m.AccountingMismatch()
	a := &testAPI{t: t, metrics: m}
	text := string(startAdmin(t, a, nil).get(t, "/metrics").body)
	for _, want := range []string{
		`millrace_prediction_duration_seconds_count{result="completed",size_class="10k"} 1`,
		`millrace_prediction_duration_seconds_count{result="dead",size_class="100k"} 1`,
		`millrace_prediction_duration_seconds_count{result="completed",size_class="1M"} 1`,
		`millrace_prediction_duration_seconds_count{result="completed",size_class="more"} 1`,
		`millrace_predictions{status="queued"} 3`, `millrace_predictions{status="running"} 2`,
		`millrace_dead_letters 1`, `millrace_oldest_queued_seconds 5`, `millrace_lease_lost_total 1`,
		`millrace_accounting_mismatch_total 1`, `millrace_model_info{model="telecom",sha256="abc",version="1"} 1`,
		`millrace_model_load_seconds{model="telecom"} 0.03`, `millrace_model_refused_total 1`,
		`millrace_time_to_first_result_seconds_count 0`, `millrace_outbox_letters 4`, `millrace_epochs_fenced_total 1`,
		`millrace_aws_calls_total{operation="PutObject",result="failed",service="s3"} 1`,
		`millrace_aws_call_seconds_total{operation="PutObject",service="s3"} 1`,
		`millrace_aws_retries_total{service="s3"} 2`, `millrace_aws_retries_total{service="sqs"} 0`,
		`millrace_database_connections_acquired 3`, `millrace_database_connections_max 16`,
		`millrace_database_acquire_waits_total 2`, `millrace_database_acquire_wait_seconds_total 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}
