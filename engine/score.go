// Package engine scores: CSV rows in, scored rows out. [Score] is the data path and names every stage.
package engine

import (
	"context"
	"errors"
	"io"
	"runtime"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/retainwise/millrace/ingest"
)

// Version names the arithmetic and the formatting of results. It changes when the same input may give other bytes.
const Version = "5"

// Input is what to score: a run of whole rows of one file.
type Input struct {
	// Body begins at a row start, behind the header. It belongs to the caller: Score reads it from one goroutine, not
	// after it has returned, and never closes it. A Read that waits must end with the context of the score, or Score
	// does not return before the Read does.
	Body   io.Reader
	Header ingest.Header
	Start  ingest.Position // where Body begins in the file
	Rows   int64           // how many rows Body has; 0: not known before it is read
	Limits ingest.Limits
	// Numbers is how the file writes numbers: what [Input.DecideNumbers] found at its beginning.
	Numbers ingest.NumberStyle
}

// Options say how to score.
type Options struct {
	Workers int // 0: one per core
	// Background, unless nil, makes this work that nobody waits for. It is shared with other such scores.
	Background *Background
	Explain    Explain // which rows are explained
	Scorer     Scorer  // which engine computes the raw scores
	// Check has leaves score some rows of what the compiled engine scores, where it holds the model: the first 64 of
	// the input and 64 of the rest. If they differ, Score fails with a [*DifferenceError].
	Check      bool
	WithHeader bool   // the result and the rejects begin with their header lines
	Budget     Budget // how many rows may be rejected
	// Unguarded leaves cells that a spreadsheet would take for formulas as they came: for files that machines read.
	Unguarded bool
	// NewBlockEncoder makes one encoder per worker; nil makes no blocks.
	NewBlockEncoder func() BlockEncoder
	// NewSampler makes one sampler per worker; nil keeps no sample.
	NewSampler func() Sampler
	Flow       *Flow // shows where the chunks are while they are scored; nil: nobody looks
	// Snapshot is filled with what the comparison with the next upload needs; nil: nothing is kept. It must not be read
	// before Score has returned, and means nothing after an error.
	Snapshot *Snapshot
}

// Explain says which rows get factors and a sentence.
type Explain string

const (
	ExplainAll    Explain = "all"
	ExplainAtRisk Explain = "at_risk" // rows above the lowest risk band
	ExplainNone   Explain = "none"
)

// Scorer names an engine. All give the same probabilities.
type Scorer string

const (
	ScorerCompiled Scorer = "compiled"
	ScorerLeaves   Scorer = "leaves"
	// ScorerWalker walks the trees one by one: slow, and the definition of a score.
	ScorerWalker Scorer = "walker"
)

// Sink takes scored chunks in input order, from one goroutine.
type Sink interface {
	// WriteChunk may keep nothing of c after it returns.
	WriteChunk(c *ScoredChunk) error
}

// BlockEncoder turns scored batches into stored blocks. Each belongs to one worker.
type BlockEncoder interface {
	// AppendBlocks appends the blocks of one scored batch to dst. Its columns are _row (int64), id (utf8), probability
	// (float32), risk_band (int16) and result_bytes (int32): how long the row is in the result; see [scoredSchema].
	AppendBlocks(dst []byte, scored arrow.Record) ([]byte, error)
}

// Sampler keeps some rows for retraining. Each belongs to one worker.
type Sampler interface {
	// AppendSample appends what is kept of a batch to dst. input is the batch as it was read; scored is as for a
	// [BlockEncoder], with the same rows.
	AppendSample(dst []byte, input, scored arrow.Record) ([]byte, error)
}

// ScoredChunk is what became of one chunk. Its buffers are used again after the sink has seen them.
type ScoredChunk struct {
	ingest.Position
	Result  []byte // rows of the result file
	Rejects []byte // rows of the rejects file
	Blocks  []byte // COPY tuples
	Sample  []byte // of the rows that are kept for retraining
	Tally   Tally
	Busy    BusyTimes
	Checked int // rows that leaves scored too

	ids      []uint64 // hashes of the customer ids
	snapshot snapshotChunk
}

// Score reads the rows of in, scores and explains each with the bundle's model, and hands every chunk's outcome to the
// sink in input order. Memory is bounded by the workers, never by the file. The error is that of the earliest chunk
// that failed; the sink has seen exactly the chunks before it. A panic in a stage or the sink is such an error, a
// [*PanicError]. When Score returns, its goroutines have ended. An input without a row is [ingest.ErrEmpty], one with
// too many bad rows a [*BudgetError].
func Score(ctx context.Context, in Input, b *Bundle, opt Options, sink Sink) (Tally, error) {
	mapping, err := ingest.Map(b.Schema(), in.Header)
	if err != nil {
		return Tally{}, err
	}
	mapping.Guard = !opt.Unguarded
	mapping.Numbers = in.Numbers
	chunker := ingest.NewChunker(in.Body, in.Header.Delimiter, in.Start, in.Limits)
	total := b.newTally(mapping)
	if opt.WithHeader {
		total.NotUsed, total.Renamed, total.Numbers = mapping.Unused(), mapping.RenamedNames(), in.Numbers
	}
	var ids idSet
	at, leave := opt.Flow.join(slotsFor(opt.workers()))
	defer leave()
	opt.Snapshot.begin(b, opt.Explain)

	read := func(s *slot) (err error) { // one goroutine: bytes to chunks
		at.enter(StageChunk)
		defer at.leave(StageChunk)
		clock := time.Now()
		s.chunk, err = chunker.Next(s.buf)
		s.out.Busy.Chunk = lap(&clock)
		s.buf = s.chunk.Bytes
		if s.seq == 0 && errors.Is(err, io.EOF) {
			return ingest.ErrEmpty
		}
		if err == nil {
			at.queue(StageParse)
		}
		return err
	}
	var workers []*worker
	newWork := func() (func(*slot) error, error) { // a core each: one chunk from bytes to encoded results
		w, err := newWorker(in, b, opt, mapping)
		if err != nil {
			return nil, err
		}
		w.at = at
		workers = append(workers, w)
		return w.inTurn(), nil
	}
	write := func(s *slot) error { // one goroutine: results in input order
		at.take(StagePut)
		defer at.leave(StagePut)
		s.out.Tally.repeat(ids.add(s.out.ids), b)
		total.Add(&s.out.Tally)
		if err := opt.Budget.Check(&total); err != nil {
			return err
		}
		opt.Snapshot.add(&s.out.snapshot)
		return sink.WriteChunk(&s.out)
	}
	if err := run(ctx, opt.workers(), &b.slots, read, newWork, write); err != nil {
		return total, err
	}
	if total.Rows == 0 {
		return total, ingest.ErrEmpty
	}
	for _, w := range workers {
		b.explainer.keep(w.explain)
	}
	return total, nil
}

func (opt Options) workers() int {
	if opt.Workers > 0 {
		return opt.Workers
	}
	return runtime.GOMAXPROCS(0)
}
