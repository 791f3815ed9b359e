package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// worker does all CPU work on a chunk on one core: parse, score, explain, encode. It reuses its scratch from chunk to
// chunk and allocates nothing per row.
type worker struct {
	bundle    *Bundle
	mapping   ingest.Mapping
	converter *ingest.Converter
	result    resultEncoder
	rejects   rejectEncoder
	blocks    BlockEncoder // nil: no blocks
	sampler   Sampler      // nil: no samples
	scored    *arrow.Schema
	rawScores func(dst []float64, rows forest.Rows) error
	explain   *explainWorker  // nil: no explanations
	snapshot  *snapshotWorker // nil: no snapshot
	check     *checkWorker    // nil: no check by leaves
	counter   counter
	stages    *chunkCounts // chunks in progress
	throttle  throttle

	columns       []forest.Column
	raw           []float64
	linked        []float64
	probabilities []float32
	bands         []int16
	sizes         []int32 // bytes of each row in the result
}

func newWorker(in Input, b *Bundle, opt Options, m ingest.Mapping) (*worker, error) {
	w := &worker{
		bundle:    b,
		mapping:   m,
		converter: ingest.NewConverter(m, in.Limits),
		result:    newResultEncoder(m, b, opt.WithHeader),
		rejects:   rejectEncoder{m, opt.WithHeader},
		scored:    scoredSchema(),
		counter:   newCounter(b, m),
		columns:   make([]forest.Column, len(b.features)),
		stages:    new(chunkCounts),
		snapshot:  newSnapshotWorker(opt.Snapshot),
		throttle:  throttle{background: opt.Background},
	}
	if opt.NewBlockEncoder != nil {
		w.blocks = opt.NewBlockEncoder()
	}
	if opt.NewSampler != nil {
		w.sampler = opt.NewSampler()
	}
	var err error
	if w.explain, err = b.newExplainWorker(opt.Explain); err != nil {
		return nil, err
	}
	w.check = b.newCheckWorker(in, opt)
	w.rawScores, err = b.newRawScorer(opt.Scorer, w.explain)
	return w, err
}

// newRawScorer returns the scoring function of one worker. If all rows are explained, the scorer keeps the bins of each
// batch for the explanation.
func (b *Bundle) newRawScorer(scorer Scorer, explain *explainWorker) (func([]float64, forest.Rows) error, error) {
	switch scorer {
	case ScorerLeaves:
		if b.leavesErr != nil {
			return nil, fmt.Errorf("scorer leaves: %w", b.leavesErr)
		}
		return b.leaves.Raw, nil
	case ScorerWalker:
		walker := forest.NewWalker(b.forest)
		return func(dst []float64, rows forest.Rows) error {
			walker.Raw(dst, rows)
			return nil
		}, nil
	case ScorerCompiled, "":
		s := b.compiled.NewScorer()
		return func(dst []float64, rows forest.Rows) error {
			if explain != nil && explain.from == 0 {
				s.RawCodes(dst, rows, &explain.codes)
			} else {
				s.Raw(dst, rows)
			}
			return nil
		}, nil
	}
	return nil, fmt.Errorf("scorer %q: choose compiled, leaves or walker", scorer)
}

// chunkFunc returns score; for a low-priority score it also lowers the thread's priority and holds a core of Background
// during each chunk.
func (w *worker) chunkFunc() func(*slot) error {
	if w.throttle.background == nil {
		return w.score
	}
	background := sync.OnceFunc(lowerPriority)
	return func(s *slot) error {
		background()
		defer w.throttle.background.acquireCore()()
		w.throttle.since = time.Now()
		return w.score(s)
	}
}

// score takes the slot's chunk from bytes to encoded results.
func (w *worker) score(s *slot) error {
	out := &s.out
	out.Position = s.chunk.Position
	if out.Tally.Bands == nil {
		out.Tally = w.bundle.newTally(w.mapping)
	}
	out.Tally.reset()
	w.stages.dequeue(StageParse)
	clock := time.Now()

	batch, err := w.converter.Convert(s.chunk)
	if err != nil {
		return err
	}
	out.Tally.Rows, out.Tally.Skipped = s.chunk.Rows, s.chunk.Skipped
	out.Tally.countReasons(&batch, &w.bundle.file.Training)
	out.Busy.Parse = w.throttle.lap(&clock)
	w.stages.advance(StageParse, StageScore)
	w.throttle.yield()

	rows, err := w.predict(batch.Record)
	if err != nil {
		return err
	}
	if out.Checked = 0; w.check != nil {
		if out.Checked, err = w.check.compare(batch.Record, rows, w.raw); err != nil {
			return err
		}
	}
	out.ids = appendIDHashes(out.ids[:0], batch.Record, w.bundle.idColumn)
	w.counter.count(&out.Tally, &batch, w.probabilities, w.bands)
	w.bundle.addExamples(out.Tally.Columns, &batch, s.chunk, w.mapping)
	if out.Tally.Scored+out.Tally.Rejected != out.Tally.Rows {
		return &AccountingError{out.Tally.Rows, out.Tally.Scored, out.Tally.Rejected}
	}
	out.Busy.Score = w.throttle.lap(&clock)
	w.stages.advance(StageScore, StageExplain)
	w.throttle.yield()

	if w.explain != nil {
		w.explain.contributions(rows, w.bands)
	}
	if w.snapshot != nil {
		w.snapshot.append(&out.snapshot, batch.Record, w)
	}
	out.Busy.Explain = w.throttle.lap(&clock)
	w.stages.advance(StageExplain, StageEncode)
	w.throttle.yield()

	out.Result = w.result.append(out.Result[:0], s.seq, s.chunk, &batch, w)
	if w.explain != nil {
		w.explain.countDrivers(&out.Tally)
		w.explainTop(out.Tally.Top.ByProbability, &w.counter.byProbability)
		w.explainTop(out.Tally.Top.ByLoss, &w.counter.byLoss)
	}
	out.Rejects = w.rejects.append(out.Rejects[:0], s.seq, s.chunk, batch.Rejects)
	err = w.appendBlocks(out, batch.Record)
	out.Busy.Encode = w.throttle.lap(&clock)
	w.stages.leave(StageEncode)
	w.stages.enqueue(StagePut)
	return err
}

// AccountingError reports rows that were neither scored nor rejected, or both. It is always a defect of this package
// and fails the score.
type AccountingError struct{ Rows, Scored, Rejected int64 }

func (e *AccountingError) Error() string {
	return fmt.Sprintf("row accounting broken: %d rows, %d scored, %d rejected", e.Rows, e.Scored, e.Rejected)
}

// predict fills raw, linked, probabilities and bands with one entry per row of the record.
func (w *worker) predict(rec arrow.Record) (forest.Rows, error) {
	n := int(rec.NumRows())
	w.raw, w.linked = grow(w.raw, n), grow(w.linked, n)
	w.probabilities, w.bands = grow(w.probabilities, n), grow(w.bands, n)
	rows := featureRows(rec, w.bundle.features, w.columns)
	if err := w.rawScores(w.raw, rows); err != nil {
		return rows, fmt.Errorf("score: %w", err)
	}
	w.bundle.probabilities(w.linked, w.raw)
	for i, p := range w.linked {
		w.probabilities[i] = float32(p)
		w.bands[i] = int16(w.bundle.band(w.probabilities[i]))
	}
	return rows, nil
}

// explainTop fills in the explanations of a top list; top is the counter that it was made from. It narrates the rows
// again, so the drivers must have been counted before.
func (w *worker) explainTop(list []TopRow, top *topCounter) {
	for i, row := range top.rows[:top.n] {
		if band := w.bands[row]; w.explain.wants(band) {
			narrator := w.explain.narrate(row, w.raw[row], w.probabilities[row], w.bundle.bands[band].Name)
			list[i].Explanation = string(narrator.AppendExplanation(nil))
		}
	}
}

// appendBlocks encodes the blocks and the sample of a batch.
func (w *worker) appendBlocks(out *ScoredChunk, batch arrow.Record) (err error) {
	out.Blocks, out.Sample = out.Blocks[:0], out.Sample[:0]
	if w.blocks == nil && w.sampler == nil || batch.NumRows() == 0 {
		return nil
	}
	rec := w.scoredRecord(batch)
	defer rec.Release()
	if w.blocks != nil {
		if out.Blocks, err = w.blocks.AppendBlocks(out.Blocks, rec); err != nil {
			return fmt.Errorf("encode blocks: %w", err)
		}
	}
	if w.sampler != nil {
		if out.Sample, err = w.sampler.AppendSample(out.Sample, batch, rec); err != nil {
			return fmt.Errorf("encode sample: %w", err)
		}
	}
	return nil
}

// grow returns a slice of n entries, which reuses the memory of s if it is large enough. The values of the entries are
// undefined.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// lap returns the time since clock and resets it to now.
func lap(clock *time.Time) time.Duration {
	now := time.Now()
	d := now.Sub(*clock)
	*clock = now
	return d
}
