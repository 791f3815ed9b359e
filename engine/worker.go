package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// worker does all CPU work on a chunk on one core: convert, score, explain, encode. Its scratch is reused from chunk to
// chunk; nothing is allocated per row.
type worker struct {
	bundle    *Bundle
	mapping   ingest.Mapping
	converter *ingest.Converter
	result    resultEncoder
	rejects   rejectEncoder
	blocks    BlockEncoder // nil: no blocks are wanted
	sampler   Sampler      // nil: no sample is wanted
	scored    *arrow.Schema
	rawScores func(dst []float64, rows forest.Rows) error
	explain   *explainWorker  // nil: no explanations are wanted
	snapshot  *snapshotWorker // nil: no snapshot is wanted
	check     *checkWorker    // nil: leaves checks nothing
	counter   counter
	at        *places // where the chunks are
	pace      pace

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
		at:        new(places),
		snapshot:  newSnapshotWorker(opt.Snapshot),
		pace:      pace{background: opt.Background},
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

// newRawScorer gives one worker its scorer. Where all rows are explained it keeps what explaining can use.
func (b *Bundle) newRawScorer(scorer Scorer, explain *explainWorker) (func([]float64, forest.Rows) error, error) {
	switch scorer {
	case ScorerLeaves:
		if b.noLeaves != nil {
			return nil, fmt.Errorf("scorer leaves: %w", b.noLeaves)
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

// inTurn is score, or what does it in the background.
func (w *worker) inTurn() func(*slot) error {
	if w.pace.background == nil {
		return w.score
	}
	background := sync.OnceFunc(stepBack)
	return func(s *slot) error {
		background()
		defer w.pace.background.takeCore()()
		w.pace.since = time.Now()
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
	w.at.take(StageParse)
	clock := time.Now()

	batch, err := w.converter.Convert(s.chunk)
	if err != nil {
		return err
	}
	out.Tally.Rows, out.Tally.Skipped = s.chunk.Rows, s.chunk.Skipped
	out.Tally.account(&batch, &w.bundle.file.Training)
	out.Busy.Parse = w.pace.lap(&clock)
	w.at.pass(StageParse, StageScore)
	w.pace.rest()

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
	if out.Tally.Scored+out.Tally.Rejected != out.Tally.Rows {
		return &AccountingError{out.Tally.Rows, out.Tally.Scored, out.Tally.Rejected}
	}
	out.Busy.Score = w.pace.lap(&clock)
	w.at.pass(StageScore, StageExplain)
	w.pace.rest()

	if w.explain != nil {
		w.explain.contributions(rows, w.bands)
	}
	if w.snapshot != nil {
		w.snapshot.append(&out.snapshot, batch.Record, w)
	}
	out.Busy.Explain = w.pace.lap(&clock)
	w.at.pass(StageExplain, StageEncode)
	w.pace.rest()

	out.Result = w.result.append(out.Result[:0], s.seq, s.chunk, &batch, w)
	if w.explain != nil {
		w.explain.drive(&out.Tally)
		w.explainTop(out.Tally.Top.ByProbability, &w.counter.likely)
		w.explainTop(out.Tally.Top.ByLoss, &w.counter.costly)
	}
	out.Rejects = w.rejects.append(out.Rejects[:0], s.seq, s.chunk, batch.Rejects)
	err = w.appendBlocks(out, batch.Record)
	out.Busy.Encode = w.pace.lap(&clock)
	w.at.leave(StageEncode)
	w.at.queue(StagePut)
	return err
}

// AccountingError is a row that was neither scored nor rejected, or both: a defect of ours that must never pass.
type AccountingError struct{ Rows, Scored, Rejected int64 }

func (e *AccountingError) Error() string {
	return fmt.Sprintf("row accounting broken: %d rows, %d scored, %d rejected", e.Rows, e.Scored, e.Rejected)
}

// predict fills raw, probabilities and bands with one entry for each row of the record.
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

// explainTop says of each row of a list why it is there; top is where the list came from. The rows are read once more,
// so the drivers must have been counted.
func (w *worker) explainTop(list []TopRow, top *topCounter) {
	for i, row := range top.rows[:top.n] {
		if band := w.bands[row]; w.explain.wants(band) {
			teller := w.explain.read(row, w.raw[row], w.probabilities[row], w.bundle.bands[band].Name)
			list[i].Explanation = string(teller.AppendExplanation(nil))
		}
	}
}

// appendBlocks encodes what is stored of a batch.
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

// grow gives a slice of n entries, with the memory of s if that is enough. The entries' values are left over.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// lap gives the time since clock and sets it.
func lap(clock *time.Time) time.Duration {
	now := time.Now()
	d := now.Sub(*clock)
	*clock = now
	return d
}
