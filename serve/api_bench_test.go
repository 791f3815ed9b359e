package serve_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/logging"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// startBench serves on a real listener and a real database, without rate limits.
func startBench(b *testing.B) *testAPI {
	b.Helper()
	models, err := baselines()
	if err != nil {
		b.Fatal(err)
	}
	is := newIssuer(b, publicJWK("k1", keyPair()))
	a := &testAPI{
		store: storetest.Open(b, store.Config{}), models: models, clock: newClock(), issuer: is,
		metrics: metrics.NewMetrics(),
	}
	if a.objects, err = objects.OpenDirectory(b.TempDir()); err != nil {
		b.Fatal(err)
	}
	verifier, err := auth.NewVerifier(b.Context(), auth.Config{
		JWKSURL: is.URL, Issuer: testIssuer, Parties: []string{origin}, Now: a.clock.now,
	})
	if err != nil {
		b.Fatal(err)
	}
	unlimited := limit.Rates{}
	a.server = api.NewServer(api.Config{Rates: &unlimited}, api.Parts{
		Store: a.store, Objects: a.objects, Models: models, Auth: verifier, Metrics: a.metrics,
		Log: logging.NewLogger(io.Discard, slog.LevelInfo),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	a.url = "http://" + l.Addr().String()
	go func() { _ = a.server.Serve(l) }()
	b.Cleanup(func() { _ = a.server.Shutdown(b.Context()) })
	return a
}

// measure sends a request b.N times, one behind the other, and reports the latencies' quantiles.
func (a *testAPI) measure(b *testing.B, method, path string, body []byte, status int) {
	b.Helper()
	token := a.token("owner")
	var took []time.Duration
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for b.Loop() {
		begin := time.Now()
		req, _ := http.NewRequest(method, a.url+path, bytes.NewReader(body))
		req.Header.Set("Authorization", token)
		req.Header.Set("Content-Type", "text/csv")
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != status {
			b.Fatalf("%d, %v", resp.StatusCode, err)
		}
		_ = resp.Body.Close()
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	for name, share := range map[string]float64{"p50-ms": 0.5, "p95-ms": 0.95, "p99-ms": 0.99} {
		b.ReportMetric(float64(took[int(share*float64(len(took)-1))].Microseconds())/1000, name)
	}
}

func BenchmarkControlRoutes(b *testing.B) {
	a := startBench(b)
	user, err := a.store.Accounts.EnsureUser(b.Context(), "owner")
	if err != nil {
		b.Fatal(err)
	}
	id := ""
	for i := range 200 {
		u := store.NewUpload{
			ID: store.NewID(), UserID: user.ID, ObjectKey: fmt.Sprint("k", i), Filename: "a.csv",
			Bytes: 1, Rows: 1, Parts: []store.Part{{Planned: true, Rows: 1}},
		}
		u.Header.Delimiter = ','
		u.Header.Columns = []string{"a"}
		p, err := a.store.Predictions.CreateUpload(b.Context(), u)
		if err != nil {
			b.Fatal(err)
		}
		id = p.ID.String()
	}
	for name, path := range map[string]string{
		"health": "/health", "models": "/models", "list": "/predictions?limit=100", "one": "/predictions/" + id,
		"missing": "/predictions/00000000-0000-4000-8000-000000000000",
	} {
		b.Run(name, func(b *testing.B) {
			status := http.StatusOK
			if name == "missing" {
				status = http.StatusNotFound
			}
			a.measure(b, http.MethodGet, path, nil, status)
		})
	}
	b.Run("upload", func(b *testing.B) { a.measure(b, http.MethodPost, "/upload", []byte(telecom), http.StatusOK) })
}

func BenchmarkScore10000Rows(b *testing.B) {
	a := startBench(b)
	text, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		b.Fatal(err)
	}
	for _, explain := range []string{"none", "all"} {
		b.Run("explain="+explain, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			a.measure(b, http.MethodPost, "/score?model=telecom&explain="+explain, text, http.StatusOK)
		})
	}
}
