package work

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
)

// scorePart scores a part, puts its results into the object store and commits its blocks with its line of the ledger.
// It returns the claim of the last step if this was the last part. Where leaves disagrees with the compiled engine, the
// whole part is scored again by the walker, and nothing of the first time is kept.
func (w *Worker) scorePart(ctx context.Context, c *store.Claim) (*store.Claim, error) {
	begin := time.Now()
	bundle, ok := w.models.Pinned(c.Model.Name, c.Model.SHA256)
	if !ok {
		return nil, at(stageScore, plan.ErrModelWithdrawn)
	}
	part, err := w.scoreBy(ctx, c, bundle, w.config.Scorer)
	log := w.log.With("prediction_id", c.PublicID, "part", c.Part.No)
	if plan.Disagreed(err, bundle, w.metrics, log) { // also of a canary: it is a fault whoever sent the file
		part, err = w.scoreBy(ctx, c, bundle, engine.ScorerWalker)
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

// scoreBy scores a part by one engine and puts its results, or nothing, into the object store.
func (w *Worker) scoreBy(
	ctx context.Context, c *store.Claim, bundle *engine.Bundle, scorer engine.Scorer,
) (p scoredPart, err error) {
	snapshot := w.newSnapshot(c)
	opt, err := w.partOptions(ctx, c, snapshot)
	if err != nil {
		return p, at(stageScore, err)
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
	if r.SnapshotBytes, err = w.putSnapshot(ctx, c, snapshot); err != nil {
		return p, at(stageWrite, err)
	}
	if r.Summary, err = json.Marshal(&p.tally); err != nil {
		return p, at(stageScore, err)
	}
	if r.Warnings, err = json.Marshal(p.tally.Warnings); err != nil {
		return p, at(stageScore, err)
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
	defer func() { _ = body.Close() }() // ours alone: Score has ended with it
	return engine.Score(ctx, in, b, opt, out)
}

// partOptions say how a part is scored. Options that apply to the whole file are the last step's: see finish.
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
		Budget: budget, Unguarded: options.Unguarded(), Flow: w.counted(c).Flow(),
		NewBlockEncoder: func() engine.BlockEncoder { return store.NewBlockEncoder(c.PredictionID) },
		NewSampler:      sampler,
		Snapshot:        s,
	}, err
}

// backgroundFor makes large files work for the background. Small ones do not queue up behind their chunks.
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

// newSampler makes what keeps rows for retraining; nil if the prediction's owner has not opted in.
func (w *Worker) newSampler(ctx context.Context, c *store.Claim, group string) (func() engine.Sampler, error) {
	rate, err := w.store.TrainingRate(ctx, c.UserID)
	if err != nil || rate <= 0 {
		return nil, err
	}
	sample := store.TrainingSample{Key: w.config.CustomerKey, Rate: rate, Group: group}
	return func() engine.Sampler { return store.NewTrainingEncoder(c, sample) }, nil
}

// commit copies a part's blocks and writes its line of the ledger.
func (w *Worker) commit(ctx context.Context, c *store.Claim, r store.PartResult, blocks []byte) (*store.Claim, error) {
	m := w.counted(c)
	defer m.Copying()()
	begin := time.Now()
	last, err := w.store.CommitPart(ctx, c, r, bytes.NewReader(blocks))
	if err != nil {
		return nil, at(stageCommit, err)
	}
	m.StageDone(metrics.StageCopy, time.Since(begin), r.Scored)
	return last, nil
}

func (w *Worker) countPart(c *store.Claim, tally *engine.Tally, took time.Duration) {
	m := w.counted(c)
	m.PartDone(metrics.AttemptCommitted, took)
	for _, r := range tally.Rejects {
		m.Rejected(r.Code, r.Count)
	}
}

// openPart opens the part's bytes of the input. The first part begins with the header line as it stands in the file;
// for the others the header that was planned is enough.
func (w *Worker) openPart(ctx context.Context, c *store.Claim) (engine.Input, io.ReadCloser, error) {
	options, err := claimOptions(c)
	if err != nil {
		return engine.Input{}, nil, at(stageScore, err)
	}
	in := engine.Input{Limits: w.config.Limits, Numbers: options.NumberStyle, Header: ingest.Header{
		Names: c.Header.Columns, Delimiter: c.Header.Delimiter, Bytes: c.Header.Bytes, Lines: c.Header.Lines,
	}}
	in.Start = ingest.Position{Offset: c.Part.Offset, Row: c.Part.FirstRow, Line: c.Part.FirstLine}
	in.Rows = c.Part.Rows
	section := store.Range{Offset: c.Part.Offset, Length: c.Part.Bytes}
	if c.Part.No == 0 {
		section = store.Range{Offset: 0, Length: c.Part.Offset + c.Part.Bytes}
	}
	body, _, err := w.objects.Get(ctx, c.ObjectKey, section, c.ObjectETag)
	if err != nil {
		return in, nil, at(stageRead, err)
	}
	in.Body = body
	if c.Part.No == 0 {
		if in.Header, in.Body, err = ingest.ReadHeader(body, in.Limits); err != nil {
			return in, nil, at(stageRead, errors.Join(err, body.Close()))
		}
	}
	return in, body, nil
}

// partSink streams a part's result and rejects into objects and keeps its blocks and sample for the commit.
type partSink struct {
	result, rejects *objectWriter
	blocks, sample  []byte
	metrics         *metrics.Metrics
	model           string
}

func (w *Worker) newPartSink(ctx context.Context, c *store.Claim, b *engine.Bundle) *partSink {
	key := func(name string) string { return store.PartKey(c.PublicID, c.Generation, c.Part.No, name) }
	return &partSink{
		result:  newObjectWriter(ctx, w.objects, key(store.ResultName)),
		rejects: newObjectWriter(ctx, w.objects, key(store.RejectsName)),
		metrics: w.counted(c), model: b.Name(),
	}
}

// WriteChunk implements engine.Sink.
func (s *partSink) WriteChunk(c *engine.ScoredChunk) error {
	s.metrics.ChunkDone(s.model, c)
	begin := time.Now()
	s.blocks, s.sample = append(s.blocks, c.Blocks...), append(s.sample, c.Sample...)
	if err := s.result.write(c.Result); err != nil {
		return at(stageWrite, fmt.Errorf("put result: %w", err))
	}
	if err := s.rejects.write(c.Rejects); err != nil {
		return at(stageWrite, fmt.Errorf("put rejects: %w", err))
	}
	s.metrics.StageDone(metrics.StagePut, time.Since(begin), c.Tally.Rows)
	return nil
}

// close ends both objects: completely, or not at all if scoring failed.
func (s *partSink) close(failed error) (store.PartResult, error) {
	result, err := s.result.close(failed)
	rejects, rejectsErr := s.rejects.close(failed)
	r := store.PartResult{
		ResultBytes: result.Bytes, ResultETag: result.ETag, RejectsBytes: rejects.Bytes, RejectsETag: rejects.ETag,
	}
	if failed != nil {
		var stage *stageError
		if !errors.As(failed, &stage) {
			failed = at(stageScore, failed)
		}
		return r, failed
	}
	return r, at(stageWrite, errors.Join(err, rejectsErr))
}

// abandon ends what close has not: a step that fails before it leaves no put behind that waits for more.
func (s *partSink) abandon() {
	_, _ = s.result.close(errAbandoned)
	_, _ = s.rejects.close(errAbandoned)
}

var errAbandoned = errors.New("the result was given up")

// objectWriter puts what is written to it as one object, while it is written. An object of nothing is not made.
type objectWriter struct {
	ctx     context.Context
	objects store.Objects
	key     string
	pipe    *io.PipeWriter // nil until the first byte
	put     chan putOutcome
}

type putOutcome struct {
	info store.ObjectInfo
	err  error
}

func newObjectWriter(ctx context.Context, o store.Objects, key string) *objectWriter {
	return &objectWriter{ctx: ctx, objects: o, key: key, put: make(chan putOutcome, 1)}
}

func (o *objectWriter) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if o.pipe == nil {
		var r *io.PipeReader
		r, o.pipe = io.Pipe()
		go func() { // ends when the pipe is closed, which close does; close waits for it
			var info store.ObjectInfo
			err := guardedStep(func() (err error) {
				info, err = o.objects.Put(o.ctx, o.key, r)
				return err
			})
			_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // a writer must not wait for a put that is over
			o.put <- putOutcome{info, err}
		}()
	}
	_, err := o.pipe.Write(p)
	return err
}

// close waits for the object to be durable. With failed it is abandoned. What is closed already is left as it is.
func (o *objectWriter) close(failed error) (store.ObjectInfo, error) {
	if o.pipe == nil {
		return store.ObjectInfo{}, nil
	}
	_ = o.pipe.CloseWithError(failed) // nil is EOF
	o.pipe = nil
	outcome := <-o.put
	return outcome.info, outcome.err
}
