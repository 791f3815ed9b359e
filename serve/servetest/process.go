// Package servetest runs a whole millrace for a test: its API, its workers and its operators' server, on free ports of
// loopback and in the test's own process.
package servetest

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/logging"
	"github.com/retainwise/millrace/serve/internal/work"
)

// Process is a running millrace.
type Process struct {
	serve.Started
	stop func() error
}

// Start runs API and worker in a temporary directory until the test ends; change edits the configuration first. The log is
// shown when the test fails.
func Start(t testing.TB, change func(*serve.RunConfig)) *Process {
	t.Helper()
	config := serve.RunConfig{
		Role: serve.RoleAll, Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", DataDir: t.TempDir(),
		Migrations: migrations.FS, Log: logging.NewLogger(t.Output(), nil),
		Worker: work.Config{Name: "test", Limits: ingest.Limits{RowsMax: 100_000}},
	}
	change(&config)
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan serve.Started, 1), make(chan error, 1)
	go func() { ended <- serve.Run(ctx, config, func(s serve.Started) { started <- s }) }()
	p := &Process{stop: sync.OnceValue(func() error {
		cancel()
		return <-ended
	})}
	select {
	case p.Started = <-started:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return p
}

// Stop ends the process as SIGTERM does and returns the error of [serve.Run]. It may be called more than once.
func (p *Process) Stop() error { return p.stop() }

// Do sends a request with the development token and returns status and body of the answer. Headers alternate between
// names and values.
func (p *Process) Do(t testing.TB, method, path string, body io.Reader, headers ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.API+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text
}
