package serve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

const canaryRows = 1000

// TestCanary_FilesAreCurrent makes the canary's file of the golden rows, scores it with the reference engine and holds
// the scores against those of the training library. With -update the files are written.
func TestCanary_FilesAreCurrent(t *testing.T) {
	input, probabilities := canaryInput(t)
	bundle, err := engine.OpenBaseline("telecom")
	if err != nil {
		t.Fatal(err)
	}
	result := scoreWith(t, bundle, input, engine.ScorerLeaves)
	for i, got := range column(t, result, "churn_probability") {
		p, err := strconv.ParseFloat(got, 32)
		if err != nil || math.Abs(p-probabilities[i]) > 1e-6 {
			t.Fatalf("row %d: %s, the training library says %g", i+1, got, probabilities[i])
		}
	}
	if !bytes.Equal(result, scoreWith(t, bundle, input, engine.ScorerCompiled)) {
		t.Error("the two engines give different results")
	}
	digest := sha256.Sum256(result)
	want, err := json.MarshalIndent(map[string]string{
		"model_sha256": bundle.SHA256(), "result_sha256": hex.EncodeToString(digest[:]),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"internal/duty/canary/input.csv": input, "internal/duty/canary/want.json": append(want, '\n')} {
		if *update {
			if err := os.WriteFile(name, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s is stale (%v): go test -run CanaryFiles ./serve -update", name, err)
		}
	}
}

// canaryInput repeats the golden rows without their scores, each with an id of its own.
func canaryInput(t *testing.T) (input []byte, probabilities []float64) {
	t.Helper()
	file, err := os.ReadFile("../engine/baseline/telecom/golden.csv")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	head, golden := golden[0], golden[1:]
	columns := slices.Index(head, "_raw")
	probability := slices.Index(head, "_probability")
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write(head[:columns])
	for i := range canaryRows {
		row := golden[i%len(golden)]
		_ = w.Write(append([]string{fmt.Sprintf("canary-%04d", i)}, row[1:columns]...))
		p, err := strconv.ParseFloat(row[probability], 64)
		if err != nil {
			t.Fatal(err)
		}
		probabilities = append(probabilities, p)
	}
	w.Flush()
	return text.Bytes(), probabilities
}

func scoreWith(t *testing.T, b *engine.Bundle, file []byte, scorer engine.Scorer) []byte {
	t.Helper()
	header, rows, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, err = engine.Score(t.Context(), engine.Input{Body: rows, Header: header, Start: header.Start()}, b,
		engine.Options{Explain: engine.ExplainAll, Scorer: scorer, WithHeader: true}, resultSink{&out})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type resultSink struct{ io.Writer }

func (s resultSink) WriteChunk(c *engine.ScoredChunk) error {
	_, err := s.Write(c.Result)
	return err
}

func column(t *testing.T, file []byte, name string) (cells []string) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil || len(rows) != canaryRows+1 {
		t.Fatalf("%d lines, %v", len(rows), err)
	}
	at := slices.Index(rows[0], name)
	for _, row := range rows[1:] {
		cells = append(cells, row[at])
	}
	return cells
}

// scrape is the text of the metrics.
func (a *testAPI) scrape() string { return string(startAdmin(a.t, a, nil).get(a.t, "/metrics").body) }

func (a *testAPI) wantMetrics(lines ...string) {
	a.t.Helper()
	text := a.scrape()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			a.t.Errorf("no %s", line)
		}
	}
}

// TestCanary_RoundTrip runs a canary with a worker: it succeeds, shows in its own metrics only, and leaves nothing.
func TestCanary_RoundTrip(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	if err := a.canary(a.models); err != nil {
		t.Fatal(err)
	}
	a.wantMetrics(`millrace_canary_runs_total{result="ok"} 1`, `millrace_canary_duration_seconds_count 1`,
		`millrace_canary_mismatch_total 0`,
		`millrace_attempts_total{result="committed"} 0`, `millrace_prediction_queue_wait_seconds_count 0`)
	if keys := a.objectKeys(); len(keys) > 0 {
		t.Errorf("left behind: %v", keys)
	}
	q, err := a.store.Upkeep.QueueState(t.Context())
	if err != nil || q != (store.QueueState{}) {
		t.Errorf("left behind: %+v, %v", q, err)
	}
}

// TestCanary_DetectsWrongResult breaks each result after it was written.
func TestCanary_DetectsWrongResult(t *testing.T) {
	a := startAPI(t, nil)
	a.objects = flippedResults{a.objects}
	a.work()
	if err := a.canary(a.models); err == nil {
		t.Error("a wrong result passes")
	}
	a.wantMetrics(`millrace_canary_runs_total{result="mismatch"} 1`, `millrace_canary_mismatch_total 1`,
		`millrace_canary_last_success_timestamp_seconds 0`)
}

// flippedResults is an object store whose joined results have a wrong bit.
type flippedResults struct{ objects.Store }

func (f flippedResults) Compose(ctx context.Context, dst string, parts []objects.Source) (objects.Info, error) {
	info, err := f.Store.Compose(ctx, dst, parts)
	if err != nil {
		return info, err
	}
	body, _, err := f.Get(ctx, dst, objects.Range{}, "")
	if err != nil {
		return info, err
	}
	text, err := io.ReadAll(body)
	if err := body.Close(); err != nil {
		return info, err
	}
	if err == nil {
		text[len(text)/2] ^= 1
		info, err = f.Put(ctx, dst, bytes.NewReader(text))
	}
	return info, err
}

func TestCanary_Fails(t *testing.T) {
	a := startAPI(t, nil)
	none, err := engine.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.canary(none); err == nil {
		t.Error("a canary without its model passes")
	}
	a.store.Close()
	if err := a.canary(a.models); err == nil {
		t.Error("a canary without a database passes")
	}
	a.wantMetrics(`millrace_canary_runs_total{result="failed"} 2`, `millrace_canary_mismatch_total 0`)
}

// TestCanary_SweepsOrphans finds a canary of a process that died.
func TestCanary_SweepsOrphans(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	left, err := serve.UploadOrphanCanary(t.Context(), a.store, a.objects, a.models)
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.SweepCanaries(t.Context(), a.store, a.objects, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Predictions.Get(t.Context(), left.UserID, left.ID); err != nil {
		t.Errorf("a young one is gone: %v", err)
	}
	if err := serve.SweepCanaries(t.Context(), a.store, a.objects, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Predictions.Get(t.Context(), left.UserID, left.ID); err == nil {
		t.Error("an old one is still there")
	}
}

// canary runs one canary of the api's parts, and counts it.
func (a *testAPI) canary(models *engine.Registry) error {
	return serve.RunCanary(a.t.Context(), a.store, a.objects, models, a.metrics)
}
