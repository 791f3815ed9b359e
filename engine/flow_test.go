package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

var allStages = []engine.Stage{
	engine.StageChunk, engine.StageParse, engine.StageScore, engine.StageExplain, engine.StageEncode, engine.StagePut,
}

// blockedSink blocks in WriteChunk until resume is closed.
type blockedSink struct{ reached, resume chan struct{} }

func (s *blockedSink) WriteChunk(*engine.ScoredChunk) error {
	select {
	case s.reached <- struct{}{}:
	default:
	}
	<-s.resume
	return nil
}

// TestFlowDepth blocks the writer, expects all other slots in its queue, and no chunk anywhere after the score.
func TestFlowDepth(t *testing.T) {
	const chunks = 20
	var text strings.Builder
	for range 40 * chunks {
		text.WriteString("A,5,70.35,350.5,Month-to-month\n")
	}
	var flow engine.Flow
	sink := &blockedSink{make(chan struct{}, 1), make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- scoreInto(t.Context(), text.String(), &flow, sink) }()
	<-sink.reached
	// Six slots: one is being written, five must queue for the writer.
	for flow.Depth(engine.StagePut).Queued != 5 {
		if d := flow.Depth(engine.StagePut); d.Capacity != 6 || d.InFlight != 1 || d.Queued > 5 {
			t.Fatalf("put: %+v", d)
		}
	}
	if d := flow.Depth(engine.StageScore); d != (engine.Depth{}) {
		t.Errorf("score: %+v", d)
	}
	close(sink.resume)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantStill(t, &flow)
}

type failingSink struct{}

var errSink = errors.New("sink")

func (failingSink) WriteChunk(*engine.ScoredChunk) error { return errSink }

func TestFlowDropsFailedScores(t *testing.T) {
	var flow engine.Flow
	text := strings.Repeat("A,5,70.35,350.5,Month-to-month\n", 1000)
	if err := scoreInto(t.Context(), text, &flow, failingSink{}); !errors.Is(err, errSink) {
		t.Fatal(err)
	}
	wantStill(t, &flow)
}

func wantStill(t *testing.T, flow *engine.Flow) {
	t.Helper()
	for _, stage := range allStages {
		if d := flow.Depth(stage); d != (engine.Depth{}) {
			t.Errorf("stage %d: %+v is left", stage, d)
		}
	}
}

// scoreInto scores rows with two workers in small chunks.
func scoreInto(ctx context.Context, rows string, flow *engine.Flow, sink engine.Sink) error {
	bundle, err := engine.OpenBaseline("telecom")
	if err != nil {
		return err
	}
	limits := ingest.Limits{ChunkBytes: 1200}
	text := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n" + rows
	header, body, err := ingest.ReadHeader(strings.NewReader(text), limits)
	if err != nil {
		return err
	}
	_, err = engine.Score(ctx, engine.Input{Body: body, Header: header, Start: header.Start(), Limits: limits}, bundle,
		engine.Options{Workers: 2, Explain: engine.ExplainAll, WithHeader: true, Flow: flow}, sink)
	return err
}
