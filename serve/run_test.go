package serve_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/servetest"
	"github.com/retainwise/millrace/store/storetest"
)

// A process with every feature enabled scores a file, reports its addresses, and stops when its context ends.
func TestRun_AllFeatures(t *testing.T) {
	bucket, queue, bundles := storetest.S3(t), storetest.SQS(t), t.TempDir()
	serve.WriteBundle(t, filepath.Join(bundles, "mine"), "name: telecom", "name: mine")
	delivered := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		delivered <- r.Header.Get("Webhook-Id")
	}))
	defer receiver.Close()
	secret := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
	p := servetest.Start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.S3, c.Queue, c.BundleDir = storetest.Postgres(t), bucket, queue.Config, bundles
		c.Webhook = duty.WebhookConfig{URL: receiver.URL, Secrets: []string{secret}, AllowPrivate: true}
		c.Canary = time.Hour
	})
	if p.Database != "the PostgreSQL of DATABASE_URL" || p.Objects != "the bucket "+bucket.Bucket {
		t.Errorf("%+v", p.Started)
	}
	status, body := p.Do(t, http.MethodPost, "/upload?model=mine", strings.NewReader(telecom), "Content-Type",
		"text/csv", "Prefer", "wait=60")
	if status != http.StatusOK || !strings.Contains(string(body), `"status":"completed"`) {
		t.Fatalf("%d %s", status, body)
	}
	if <-delivered == "" {
		t.Error("a message without an id")
	}
	wantMetric(t, p, `millrace_canary_runs_total{result="ok"} 1`)
	for _, url := range []string{p.API, p.Admin} {
		if !strings.HasPrefix(url, "http://127.0.0.1:") {
			t.Errorf("it is at %q", url)
		}
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(p.API, "http://")); err == nil {
		_ = c.Close()
		t.Error("it listens still")
	}
}

// wantMetric waits for a line of the metrics.
// As few connections as can be given are enough for all that a process does, its upkeep included.
func TestRun_MinimalConnections(t *testing.T) {
	admin := storetest.Postgres(t)
	requests, work := storetest.Logins(admin)
	for name, database := range map[string]func(*serve.RunConfig){
		"one login": func(c *serve.RunConfig) { c.DatabaseURL, c.DatabaseConns = admin, 1 },
		"two logins": func(c *serve.RunConfig) {
			c.DatabaseURL, c.LoaderURL, c.MigratedApart, c.DatabaseConns = requests, work, true, 2
		},
	} {
		p := servetest.Start(t, func(c *serve.RunConfig) {
			c.Retain = 90 * 24 * time.Hour
			database(c)
		})
		status, body := p.Do(t, http.MethodPost, "/upload?model=telecom", strings.NewReader(telecom), "Content-Type",
			"text/csv", "Prefer", "wait=60")
		if status != http.StatusOK || !strings.Contains(string(body), `"status":"completed"`) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if err := p.Stop(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func wantMetric(t *testing.T, p *servetest.Process, line string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(p.Admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), line+"\n") {
			return
		}
	}
	t.Errorf("the metrics never say %s", line)
}

// Requests and work in processes of their own, each with the one login that it needs.
func TestRun_SeparateRoles(t *testing.T) {
	dir := t.TempDir()
	requests, workers := storetest.Logins(storetest.Postgres(t))
	p := servetest.Start(t, func(c *serve.RunConfig) {
		c.Role, c.DataDir, c.DatabaseURL, c.LoaderURL = serve.RoleAPI, dir, requests, "postgres://nobody@127.0.0.1:1/x"
	})
	w := servetest.Start(t, func(c *serve.RunConfig) {
		c.Role, c.DataDir, c.LoaderURL = serve.RoleWorker, dir, workers
	})
	if p.API == "" || w.API != "" {
		t.Errorf("%+v, %+v", p.Started, w.Started)
	}
	status, body := p.Do(t, http.MethodPost, "/upload", strings.NewReader(telecom), "Content-Type", "text/csv",
		"Prefer", "wait=60")
	if status != http.StatusOK || !strings.Contains(string(body), `"status":"completed"`) {
		t.Errorf("%d %s", status, body)
	}
}

// What cannot be run ends the start with an error that says what to change, and with all that was opened closed again.
func TestRun_InvalidConfiguration(t *testing.T) {
	database := storetest.Postgres(t)
	requests, workers := storetest.Logins(database)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	type config = serve.RunConfig
	closed := "postgres://u:secret@127.0.0.1:1/x"
	empty := storetest.EmptyPostgres(t)
	for name, test := range map[string]struct {
		want   string
		change func(*config)
	}{
		"the port is taken":        {"listen: ", func(c *config) { c.Listen = taken.Addr().String() }},
		"the other port is taken":  {"admin listener: ", func(c *config) { c.AdminListen = taken.Addr().String() }},
		"a file is no directory":   {"data directory: ", func(c *config) { c.DataDir = file }},
		"a short customer key":     {"customer key: ", func(c *config) { c.CustomerSecret = "short" }},
		"no database for requests": {"DATABASE_URL", func(c *config) { c.DatabaseURL, c.LoaderURL = "", workers }},
		"a login without work":     {"LOADER_DATABASE_URL", func(c *config) { c.DatabaseURL = requests }},
		"no database":              {"connect", func(c *config) { c.DatabaseURL = closed }},
		"no schema":                {"schema", func(c *config) { c.DatabaseURL, c.MigratedApart = empty, true }},
		"no issuer":                {"auth: no issuer", func(c *config) { c.Auth.JWKSURL = "https://id.example/keys" }},
		"half of a certificate":    {"TLS: ", func(c *config) { c.TLS.Certificate = file }},
		"no certificate":           {"TLS: ", func(c *config) { c.TLS = serve.TLSFiles{Certificate: file, Key: file} }},
		"a webhook without https":  {"webhook: ", func(c *config) { c.Webhook.URL = "http://hook.example" }},
	} {
		address := freeAddress(t)
		c := serve.RunConfig{
			Role: serve.RoleAll, Listen: address, AdminListen: "127.0.0.1:0", DataDir: t.TempDir(),
			DatabaseURL: database, Migrations: migrations.FS, Log: slog.New(slog.DiscardHandler),
		}
		test.change(&c)
		err := serve.Run(t.Context(), c, func(serve.Started) { t.Errorf("%s: it has started", name) })
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s: the port is still held: %v", name, err)
			continue
		}
		_ = l.Close()
	}
}

// freeAddress returns an address without a listener.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// An error at a terminal is one line with a published code. Unlike an answer it names files and internals.
func TestErrorLine(t *testing.T) {
	_, gone := os.Open("nowhere.csv")
	for want, err := range map[string]error{
		"ERR-1001: open nowhere.csv: no such file or directory": gone,
		"ERR-1005: " + fault.CodeEmptyFile.Message():            fmt.Errorf("read header: %w", ingest.ErrEmpty),
		"ERR-1500: broken pipes":                                errors.New("broken pipes"),
		"ERR-1705: row 3: " + engine.ErrGolden.Error():          fmt.Errorf("row 3: %w", engine.ErrGolden),
	} {
		if got := storefault.ErrorLine(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// A process that is stopped in the very moment of its start ends: its servers may not have begun to accept by then.
func TestRun_StoppedDuringStart(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that they surely have not
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := serve.RunConfig{
		Role: serve.RoleAPI, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", DataDir: t.TempDir(),
		DatabaseURL: storetest.Postgres(t), Migrations: migrations.FS, Log: slog.New(slog.DiscardHandler),
	}
	ended := make(chan error, 1)
	go func() { ended <- serve.Run(ctx, c, func(serve.Started) { cancel() }) }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}
