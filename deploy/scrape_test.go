package deploy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// TestQueriesUseExportedMetrics starts millrace, gives it something to do and wants every metric that a board or a rule
// asks for, with every label that it is selected or grouped by, in a scrape.
func TestQueriesUseExportedMetrics(t *testing.T) {
	exported := scrapeRunning(t)
	recorded := map[string]bool{}
	queries := boardQueries(t)
	for _, r := range rules(t) {
		if r.Record != "" {
			recorded[r.Record] = true
		}
		queries["rule "+r.Record+r.Alert] = append(queries["rule "+r.Record+r.Alert], r.Expr)
	}
	parse := parser.NewParser(parser.Options{})
	for at, list := range queries {
		for _, query := range list {
			expr, err := parse.ParseExpr(query)
			if err != nil {
				t.Errorf("%s: %v", at, err)
				continue
			}
			for _, s := range parser.ExtractSelectors(expr) {
				checkSelector(t, at, s, exported, recorded)
			}
		}
	}
}

// addedByPrometheus are labels that a scrape does not have.
var addedByPrometheus = map[string]bool{"instance": true, "job": true, labels.MetricName: true}

func checkSelector(t *testing.T, at string, s []*labels.Matcher, exported map[string]string, recorded map[string]bool) {
	t.Helper()
	var name string
	for _, m := range s {
		if m.Name == labels.MetricName {
			name = m.Value
		}
	}
	if recorded[name] || name == "up" { // which Prometheus makes of every scrape
		return
	}
	series, ok := exported[name]
	if !ok { // a native histogram: the text form shows only its classic side
		series, ok = exported[name+"_bucket"]
	}
	if !ok {
		t.Errorf("%s: no %s in a scrape", at, name)
		return
	}
	for _, m := range s {
		if !addedByPrometheus[m.Name] && !strings.Contains(series, m.Name+`="`) {
			t.Errorf("%s: %s has no label %s", at, name, m.Name)
		}
	}
}

// scrapeRunning returns the series of a running millrace by name.
func scrapeRunning(t *testing.T) map[string]string {
	t.Helper()
	api, admin, token := startMillrace(t)
	post := func(path, file string) {
		t.Helper()
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		request(t, http.MethodPost, api+path, token, body)
	}
	request(t, http.MethodPut, api+"/account", token, []byte(`{"training_rate":1}`))
	post("/upload", "../testdata/samples/telecom_10k.csv")
	request(t, http.MethodPost, api+"/outcomes", token, outcomesOf(t, "../testdata/samples/telecom_10k.csv"))
	post("/score", "../testdata/samples/telecom_sample.csv")
	rejected := []byte("customerID,tenure,MonthlyCharges,TotalCharges,Contract\na,x,1,1,One year\nb,1,1,1,One year\n")
	request(t, http.MethodPost, api+"/upload", token, rejected)
	for _, path := range []string{"/ready", "/predictions", "/nothing"} {
		request(t, http.MethodGet, api+path, token, nil)
	}
	scraped := request(t, http.MethodGet, admin+"/metrics", "", nil)
	for begin := time.Now(); !bytes.Contains(scraped, []byte("millrace_model_auc{")); time.Sleep(time.Second) { // set every minute
		if time.Since(begin) > 3*time.Minute {
			t.Fatal("no gauges of models")
		}
		scraped = request(t, http.MethodGet, admin+"/metrics", "", nil)
	}
	exported := map[string]string{}
	for line := range strings.Lines(string(scraped)) {
		if name, _, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
			name, _, _ = strings.Cut(name, "{")
			exported[name] += line
		}
	}
	return exported
}

// outcomesOf says of every third customer of a file that they have left.
func outcomesOf(t *testing.T, file string) []byte {
	t.Helper()
	rows, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := []byte("Customer ID,Churn\n")
	n := 0
	for line := range strings.Lines(string(rows)) {
		if id, _, ok := strings.Cut(line, ","); ok && n > 0 {
			outcomes = fmt.Appendf(outcomes, "%s,%v\n", id, n%3 == 0)
		}
		n++
	}
	return outcomes
}

func request(t *testing.T, method, url, token string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "text/csv")
	if method == http.MethodPut {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Prefer", "wait=60")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// buildMillrace compiles the program of the tree.
func buildMillrace(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "millrace")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

var (
	apiLine   = regexp.MustCompile(`^ +API +(\S+)`)
	adminLine = regexp.MustCompile(`^ +metrics +(\S+)/metrics`)
	canaryOK  = regexp.MustCompile(`canary_runs_total{result="ok"} [1-9]`)
	tokenLine = regexp.MustCompile(`MILLRACE_TOKEN=\$\(cat (\S+)\)`)
)

// startMillrace runs everything embedded until the test ends.
func startMillrace(t *testing.T) (api, admin, token string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace") // the private PostgreSQL's user must be able to pass through
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	run := exec.Command(buildMillrace(t), "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--data-dir", dir, "--canary", "1s")
	run.Stderr = io.Discard
	out, err := run.StdoutPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		if err := run.Wait(); err != nil {
			t.Errorf("millrace: %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for token == "" && lines.Scan() {
		for pattern, value := range map[*regexp.Regexp]*string{apiLine: &api, adminLine: &admin, tokenLine: &token} {
			if found := pattern.FindStringSubmatch(lines.Text()); found != nil {
				*value = found[1]
			}
		}
	}
	if api == "" || admin == "" || token == "" {
		t.Fatalf("millrace did not say where it is: %q %q", api, admin)
	}
	text, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	token = strings.TrimSpace(string(text))
	waitForCanary(t, admin)
	return api, admin, token
}

func waitForCanary(t *testing.T, admin string) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("no canary came through in a minute"))
	defer cancel()
	for ctx.Err() == nil {
		if canaryOK.Match(request(t, http.MethodGet, admin+"/metrics", "", nil)) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal(context.Cause(ctx))
}
