package work

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/tuple"
)

// scorePart is the path of a part: it scores it, stores its results as objects, and commits its blocks together with its
// row of the ledger. It returns the claim of the last step if this was the last part. If leaves disagrees with the compiled
// engine, the walker scores the whole part again, and the first results are discarded.
func (w *Worker) scorePart(ctx context.Context, c *store.Claim) (*store.Claim, error) {
	begin := time.Now()
	bundle, err := w.models.Pinned(ctx, c.Model)
	if err != nil {
		return nil, atStage(stageScore, err)
	}
	part, err := w.scoreWith(ctx, c, bundle, w.config.Scorer)
	log := w.log.With("prediction_id", c.PublicID, "part", c.Part.No)
	if plan.FallsBackToWalker(err, bundle, w.metrics, log) { // also for a canary
		part, err = w.scoreWith(ctx, c, bundle, engine.ScorerWalker)
	}
	if err != nil {
		return nil, err
	}
	last, err := w.commit(ctx, c, part.result, part.blocks)
	if err != nil {
		return nil, err
	}
	w.countPart(c, &part.tally, time.Since(begin))
	return last, nil
}

// scoredPart is a part whose results are in the object store.
type scoredPart struct {
	tally  engine.Tally
	result store.PartResult
	blocks []byte
}

// scoreWith scores a part with one engine and stores its results as objects. If scoring fails, none are stored.
func (w *Worker) scoreWith(
	ctx context.Context, c *store.Claim, bundle *engine.Bundle, scorer engine.Scorer,
) (p scoredPart, err error) {
	snapshot := w.newSnapshot(c)
	opt, err := w.partOptions(ctx, c, snapshot)
	if err != nil {
		return p, atStage(stageScore, err)
	}
	opt.Scorer, opt.Check = scorer, true
	out := w.newPartSink(ctx, c, bundle)
	defer out.abandon()
	p.tally, err = w.scoreBody(ctx, c, bundle, opt, out)
	if p.result, err = out.close(err); err != nil {
		return p, err
	}
	p.blocks = out.blocks
	r := &p.result
	r.Scored, r.Rejected, r.Training = p.tally.Scored, p.tally.Rejected, out.sample
	stored, err := w.putSnapshot(ctx, c, snapshot)
	if err != nil {
		return p, atStage(stageWrite, err)
	}
	r.SnapshotBytes, r.SnapshotDigest = stored.Bytes, stored.Digest
	if r.Summary, err = json.Marshal(&p.tally); err != nil {
		return p, atStage(stageScore, err)
	}
	if r.Warnings, err = json.Marshal(p.tally.Warnings); err != nil {
		return p, atStage(stageScore, err)
	}
	return p, nil
}

// scoreBody scores the part's bytes of the input into out.
func (w *Worker) scoreBody(
	ctx context.Context, c *store.Claim, b *engine.Bundle, opt engine.Options, out *partSink,
) (engine.Tally, error) {
	in, body, err := w.openPart(ctx, c)
	if err != nil {
		return engine.Tally{}, err
	}
	defer func() { _ = body.Close() }() // Score has returned, so it is not in use
	return engine.Score(ctx, in, b, opt, out)
}

// openPart opens the part's byte range of the input. The first part includes the header line; the others use the planned
// header. The caller closes the body.
func (w *Worker) openPart(ctx context.Context, c *store.Claim) (engine.Input, io.ReadCloser, error) {
	options, err := claimOptions(c)
	if err != nil {
		return engine.Input{}, nil, atStage(stageScore, err)
	}
	in := engine.Input{Limits: w.config.Limits, Numbers: options.NumberStyle, Header: ingest.Header{
		Names: c.Header.Columns, Delimiter: c.Header.Delimiter, Bytes: c.Header.Bytes, Lines: c.Header.Lines,
	}}
	in.Start = ingest.Position{Offset: c.Part.Offset, Row: c.Part.FirstRow, Line: c.Part.FirstLine}
	in.Rows = c.Part.Rows
	section := objects.Range{Offset: c.Part.Offset, Length: c.Part.Bytes}
	if c.Part.No == 0 {
		section = objects.Range{Offset: 0, Length: c.Part.Offset + c.Part.Bytes}
	}
	body, _, err := objects.Read(ctx, w.objects, objects.Source{
		Key: c.ObjectKey, ETag: c.ObjectETag, Offset: section.Offset, Digest: c.Part.Digest,
		Observe: w.metrics.Reading(metrics.ReadUpload),
	}, objects.Range{Length: section.Length, Version: c.ObjectVersion})
	if err != nil {
		return in, nil, atStage(stageRead, err)
	}
	in.Body = body
	if c.Part.No == 0 {
		if in.Header, in.Body, err = ingest.ReadHeader(body, in.Limits); err != nil {
			return in, nil, atStage(stageRead, errors.Join(err, body.Close()))
		}
	}
	return in, body, nil
}

// commit copies a part's blocks into the database and marks the part done, in one transaction. It returns the claim of the
// last step if this was the last part.
func (w *Worker) commit(ctx context.Context, c *store.Claim, r store.PartResult, blocks []byte) (*store.Claim, error) {
	m := w.metricsOf(c)
	defer m.Copying()()
	begin := time.Now()
	last, err := w.store.CommitPart(ctx, c, r, bytes.NewReader(blocks))
	if err != nil {
		return nil, atStage(stageCommit, err)
	}
	m.StageDone(metrics.StageCopy, time.Since(begin), r.Scored)
	return last, nil
}

func (w *Worker) countPart(c *store.Claim, tally *engine.Tally, took time.Duration) {
	m := w.metricsOf(c)
	m.PartDone(metrics.AttemptCommitted, took)
	for _, r := range tally.Rejects {
		m.Rejected(r.Code, r.Count)
	}
}

// partOptions are the engine's options for a part. Those that apply to the whole file are applied by finish.
func (w *Worker) partOptions(ctx context.Context, c *store.Claim, s *engine.Snapshot) (engine.Options, error) {
	options, err := claimOptions(c)
	if err != nil {
		return engine.Options{}, err
	}
	budget := options.Budget
	budget.MaxRejectedPercent = nil
	sampler, err := w.newSampler(ctx, c, options.ExperimentGroup)
	return engine.Options{
		Workers: w.config.Cores, Background: w.backgroundFor(c), Explain: engine.Explain(c.Explain), WithHeader: c.Part.No == 0,
		Budget: budget, Unguarded: options.Unguarded(), Flow: w.metricsOf(c).Flow(),
		NewBlockEncoder: func() engine.BlockEncoder { return tuple.NewBlockEncoder(c.PredictionID) },
		NewSampler:      sampler,
		Snapshot:        s,
	}, err
}

// backgroundFor returns the background for parts of large files, and nil for small ones, which preempt it.
func (w *Worker) backgroundFor(c *store.Claim) *engine.Background {
	if c.Small {
		return nil
	}
	return w.Background
}

// claimOptions are the options of the prediction that a claim belongs to.
func claimOptions(c *store.Claim) (o plan.PredictionOptions, err error) {
	return o, plan.UnmarshalOptions(c.Options, &o)
}

// newSampler returns a constructor of the sampler of rows for retraining; nil if the prediction's owner has not opted in.
func (w *Worker) newSampler(ctx context.Context, c *store.Claim, group string) (func() engine.Sampler, error) {
	rate, err := w.store.TrainingRate(ctx, c.UserID)
	if err != nil || rate <= 0 {
		return nil, err
	}
	sample := tuple.TrainingSample{Key: w.config.CustomerKey, Rate: rate, Group: group}
	return func() engine.Sampler { return tuple.NewTrainingEncoder(c.UserID, c.PredictionID, sample) }, nil
}
