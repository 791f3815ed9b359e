package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/store/storetest"
)

// endpoint is a server that answers with what is given by path.
func endpoint(t *testing.T, answers map[string]string) *server {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, known := answers[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(h.Close)
	return &server{url: h.URL, client: h.Client()}
}

func TestCompleted(t *testing.T) {
	for answer, want := range map[string]string{
		`{"status":"completed"}`: "true <nil>",
		`{"status":"queued"}`:    "false <nil>",
		`{"status":"running"}`:   "false <nil>",
		`{"status":"dead"}`:      "false the prediction is dead",
		`no JSON`:                "false invalid character 'o' in literal null (expecting 'u')",
	} {
		done, err := endpoint(t, map[string]string{"/predictions/p": answer}).completed(t.Context(), "p")
		if got := fmt.Sprint(done, err); got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
	if _, err := endpoint(t, nil).completed(t.Context(), "p"); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("a refusal: %v", err)
	}
}

func TestUploadReturnsNewestPrediction(t *testing.T) {
	file := customersOf([]byte("id,n\na,1\n"), 1)
	const done = `{"status":"completed"}`
	id, err := endpoint(t, map[string]string{"/upload": done, "/predictions": `{"predictions":[{"prediction_id":"p"}]}`}).
		upload(t.Context(), file.uploadCall())
	if err != nil || id != "p" {
		t.Errorf("%q, %v", id, err)
	}
	for want, answers := range map[string]map[string]string{
		"418":                        {},
		"the prediction is running":  {"/upload": `{"status":"running"}`},
		"left no prediction":         {"/upload": done, "/predictions": `{}`},
		"invalid character":          {"/upload": done, "/predictions": `no JSON`},
		"looking for beginning of v": {"/upload": `<html>`},
	} {
		_, err := endpoint(t, answers).upload(t.Context(), file.uploadCall())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", answers, err, want)
		}
	}
	unreachable := &server{url: "http://127.0.0.1:1", client: http.DefaultClient}
	if _, err := unreachable.upload(t.Context(), file.uploadCall()); err == nil {
		t.Error("no answer, no error")
	}
	unreachable.url = "://"
	if err := unreachable.send(t.Context(), call{}); err == nil {
		t.Error("no URL was asked")
	}
}

func TestFailedLoadIsAnError(t *testing.T) {
	r := new(Report)
	s := endpoint(t, nil)
	if err := r.loadControl(t.Context(), s, Options{Quick: true}, "p"); err == nil ||
		!strings.Contains(err.Error(), "every request failed") || len(r.Latencies) != 0 {
		t.Errorf("%v, %+v", err, r.Latencies)
	}
	if r.findLatency("control") != nil {
		t.Error("a latency that was not measured")
	}
}

// TestLaunchReadsServerAddress reads what a program prints when it serves.
func TestLaunchReadsServerAddress(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("ey\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &server{command: exec.Command("printf",
		`ready\n  API   http://127.0.0.1:8\n  export MILLRACE_TOKEN=$(cat %s)\nmore\n`, file)}
	if err := s.launch(); err != nil || s.url != "http://127.0.0.1:8" || s.token != "ey" {
		t.Errorf("%q, %q, %v", s.url, s.token, err)
	}
	_ = s.command.Wait()
	for program, want := range map[string]string{"true": "it did not say where it is", "no-such-program": "no-such-program"} {
		s := &server{command: exec.Command(program)}
		if err := s.launch(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", program, err)
		}
		_ = s.command.Wait()
	}
}

func TestLatenciesInEveryForm(t *testing.T) {
	r := &Report{
		Suite: "api", Note: "With little stored.",
		Latencies: []latency{{
			Name: "/score", Note: "100 rows", PerSecond: 50, Requests: 20, Failed: 1, P50: 1.5, P95: 2.5, P99: 3.5, Max: 9,
			RowsPerSecond: 66_667,
		}, {Name: "plain", Requests: 2, P50: 1, P95: 1, P99: 1, Max: 1}},
		Processes: []process{{CPUSeconds: 1.25, PeakMiB: 64}, {CPUSeconds: 2}},
		Statements: []statement{
			{Method: "Get", SQL: "SELECT a || b " + strings.Repeat("x", 200), Plan: "Index Scan i", P50: 0.1, P95: 0.2},
			{Method: "Ping", SQL: "SELECT 1"},
		},
	}
	var table, markdown, text bytes.Buffer
	if err := errors.Join(r.WriteTable(&table), r.WriteMarkdown(&markdown), r.WriteText(&text)); err != nil {
		t.Fatal(err)
	}
	sentence := "The service used 1.25 CPU seconds and at most 64.0 MiB of memory, its PostgreSQL not counted."
	for _, want := range []struct{ form, text string }{
		{table.String(), sentence},
		{table.String(), "The service used 2.00 CPU seconds, its PostgreSQL not counted."},
		{markdown.String(), sentence},
		{markdown.String(), "| /score: 100 rows | 50.0 | 20 | 1 | 1.50 | 2.50 | 3.50 | 9.00 | 66,667 |"},
		{markdown.String(), "| plain |  | 2 | 0 | 1.00 | 1.00 | 1.00 | 1.00 |  |"},
		{markdown.String(), "| `SELECT a ¦¦ b xxx"},
		{markdown.String(), "x` | Get | Index Scan i | 0.100 | 0.200 |"},
		{markdown.String(), "| `SELECT 1` | Ping | reads no table |  |  |"},
		{markdown.String(), "With little stored."},
		{text.String(), "BenchmarkApi/score\t20\t1500000 ns/op\t2500000 p95-ns/op\t3500000 p99-ns/op\n"},
	} {
		if !strings.Contains(want.form, want.text) {
			t.Errorf("%q is not in\n%s", want.text, want.form)
		}
	}
}

// A database that was given is left as it was found.
func TestGivenDatabaseIsCleanedUp(t *testing.T) {
	url := storetest.EmptyPostgres(t)
	d, err := openDatabase(t.Context(), Options{DatabaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.fill(t.Context(), filling{users: -1}); err == nil {
		t.Error("nothing can be filled like that")
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDatabase(t.Context(), Options{DatabaseURL: url + "&application_name=again"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.close() }()
	var tables int
	const count = `SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`
	if err := again.conn.QueryRow(t.Context(), count).Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables were left (%v)", tables, err)
	}
	for _, bad := range []string{"://", "postgres://u:secret@127.0.0.1:1/x"} {
		if d, err := openDatabase(t.Context(), Options{DatabaseURL: bad}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v (%v)", bad, d, err)
		}
	}
	if f := (Options{}).filling(); f.users < 1000 || f.String() == "" {
		t.Errorf("%+v", f)
	}
}
