package serve_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/logging"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/servetest"
	"github.com/retainwise/millrace/store/storetest"
)

// A process that starts with a bad bundle beside a good one serves the baselines and the good one, is ready, and lists the
// refused one.
func TestB22ServedBesideABadBundle(t *testing.T) {
	bundles, log := t.TempDir(), &logBuffer{}
	serve.WriteBundle(t, filepath.Join(bundles, "good"), "name: telecom", "name: good")
	serve.WriteBundle(t, filepath.Join(bundles, "bad"), "name: telecom", "name: bad")
	if err := os.WriteFile(filepath.Join(bundles, "bad", "model.txt"), []byte("tree"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := servetest.Start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.BundleDir, c.Log = storetest.Postgres(t), bundles, logging.NewLogger(log, slog.LevelInfo)
	})
	var ready struct {
		Status  string              `json:"status"`
		Checks  map[string]string   `json:"checks"`
		Refused []map[string]string `json:"refused_bundles"`
	}
	status, body := p.Do(t, http.MethodGet, "/ready", nil)
	if err := json.Unmarshal(body, &ready); err != nil || status != http.StatusOK || ready.Status != "degraded" ||
		ready.Checks["bundles"] != "refused" || ready.Checks["models"] != "ok" || len(ready.Refused) != 1 ||
		ready.Refused[0]["bundle"] != "bad" || ready.Refused[0]["code"] != "ERR-1706" {
		t.Errorf("ready: %d %s", status, body)
	}
	checkAnswer(t, http.MethodGet, "/ready", answer{
		status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body,
	})
	for _, model := range append(engine.BaselineNames(), "good") {
		if status, body := p.Do(t, http.MethodGet, "/models/"+model, nil); status != http.StatusOK {
			t.Errorf("%s: %d %s", model, status, body)
		}
	}
	status, body = p.Do(t, http.MethodPost, "/score?model=good", strings.NewReader(telecom), "Content-Type", "text/csv")
	if status != http.StatusOK || strings.Count(string(body), "\n") != 4 {
		t.Errorf("score: %d %s", status, body)
	}
	wantMetric(t, p, "millrace_bundles_refused 1")
	wantMetric(t, p, "millrace_model_refused_total 1")
	shown := (&adminAPI{p.Admin}).get(t, "/bundles").object(t)
	refused := shown["refused"].([]any)[0].(map[string]any)
	if len(shown["bundles"].([]any)) != 3 || refused["bundle"] != "bad" || refused["code"] != "ERR-1706" ||
		!strings.Contains(refused["error"].(string), "model.txt has another sha256") {
		t.Errorf("bundles: %v", shown)
	}
	if text := log.String(); !strings.Contains(text, `"msg":"bundle refused, the one in use stays"`) ||
		!strings.Contains(text, `"code":"ERR-1706"`) {
		t.Errorf("log: %s", text)
	}
}

// Bundles that are all good are one more check that is ok, and without a directory of them there is no such check.
func TestB22ReadyWithGoodBundles(t *testing.T) {
	var refused []plan.RefusedBundle
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		p.Refused = func() []plan.RefusedBundle { return refused }
	})
	if ready := a.get("/ready").want(t, http.StatusOK).object(t); ready["status"] != "ready" ||
		ready["checks"].(map[string]any)["bundles"] != "ok" || ready["refused_bundles"] != nil {
		t.Errorf("%v", ready)
	}
	refused = []plan.RefusedBundle{{Bundle: "mine", Code: "ERR-1706"}}
	if ready := a.get("/ready").want(t, http.StatusOK).object(t); ready["status"] != "degraded" {
		t.Errorf("%v", ready)
	}
	a.store.Close()
	waitFor(t, "the database to be missed", func() bool { return a.get("/ready").status == http.StatusServiceUnavailable })
}

// A start that accepts tokens of every application logs a warning, and another start does not.
func TestB2TheStartWarns(t *testing.T) {
	for _, parties := range [][]string{nil, {"https://a.example"}} {
		log := &logBuffer{}
		servetest.Start(t, func(c *serve.RunConfig) {
			c.DatabaseURL, c.Role, c.Log = storetest.Postgres(t), serve.RoleAPI, logging.NewLogger(log, slog.LevelInfo)
			c.Auth = auth.Config{JWKSURL: "https://id.example/keys", Issuer: "https://id.example", Parties: parties}
		})
		if warned := strings.Contains(log.String(), "AUTH_PARTIES or CORS_ORIGINS"); warned != (parties == nil) {
			t.Errorf("parties %q: %s", parties, log.String())
		}
	}
}
