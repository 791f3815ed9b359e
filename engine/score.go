// Package engine scores customers: CSV rows in, scored rows out.
//
// Open a model with [OpenBundle], [OpenBaseline] or [OpenModelFile] and score an [io.Reader] with [Score], which is the
// data path and names every stage. To explain rows that were scored with package forest, describe the features in a
// [Phrasebook] and use a [Narrator].
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

// Version identifies the arithmetic and the format of results. It changes whenever the same input may give different
// bytes.
const Version = "5"

// Input is a range of whole rows of one file.
type Input struct {
	// Body starts at the beginning of a row, after the header. The caller owns it: Score reads it from one goroutine,
	// not after it has returned, and never closes it. A blocked Read must return when the score's context is done, or
	// Score does not return before it.
	Body   io.Reader
	Header ingest.Header
	Start  ingest.Position // position of Body in the file
	Rows   int64           // number of rows in Body; 0 if unknown
	Limits ingest.Limits
	// Numbers is how the file writes numbers: what [Input.DecideNumbers] found at its beginning.
	Numbers ingest.NumberStyle

	sample ingest.Sample // the front of Body, which DecideNumbers has read
}

// Options configure a score. The zero value scores with the compiled engine on all cores, without explanations, blocks,
// samples or header lines.
type Options struct {
	Workers int // number of workers; 0: GOMAXPROCS
	// Background, unless nil, makes this a low-priority score, which shares its cores with other such scores.
	Background *Background
	Explain    Explain // which rows to explain; empty: none
	Scorer     Scorer  // engine for the raw scores; empty: compiled
	// Check scores a sample with the leaves library too, if it supports the model and Scorer is the compiled one: the
	// first 64 rows of the input and 64 of the rest. If scores differ, Score fails with a [*DifferenceError].
	Check      bool
	WithHeader bool   // begin the result and the rejects with their header lines
	Budget     Budget // limits on rejected rows
	// Unguarded leaves cells that a spreadsheet would take for formulas unchanged, for files read by programs.
	Unguarded bool
	// NewBlockEncoder returns the block encoder of one worker; nil disables blocks.
	NewBlockEncoder func() BlockEncoder
	// NewSampler returns the sampler of one worker; nil disables samples.
	NewSampler func() Sampler
	Flow       *Flow // counts chunks in progress, for metrics; nil disables
	// Snapshot, unless nil, collects what the comparison with the next upload needs. It must not be read before Score
	// has returned, and is undefined after an error.
	Snapshot *Snapshot
}

// Explain selects the rows that get factors and an explanation.
type Explain string

const (
	ExplainAll    Explain = "all"
	ExplainAtRisk Explain = "at_risk" // rows above the lowest risk band
	ExplainNone   Explain = "none"
)

// Scorer names an engine. All engines give the same probabilities.
type Scorer string

const (
	ScorerCompiled Scorer = "compiled"
	ScorerLeaves   Scorer = "leaves"
	// ScorerWalker walks the trees node by node: slow, but the reference for all others.
	ScorerWalker Scorer = "walker"
)

// Sink receives scored chunks in input order, from one goroutine.
type Sink interface {
	// WriteChunk must not retain c or its buffers. An error ends the score.
	WriteChunk(c *ScoredChunk) error
}

// BlockEncoder encodes scored batches as stored blocks. Each is used by one worker.
type BlockEncoder interface {
	// AppendBlocks appends the blocks of one scored batch to dst. The columns are _row (int64), id (utf8, nullable),
	// probability (float32), risk_band (int16) and result_bytes (int32), the size of the row in the result; see
	// [scoredSchema]. The record is valid until the call returns.
	AppendBlocks(dst []byte, scored arrow.Record) ([]byte, error)
}

// Sampler keeps some rows for retraining. Each is used by one worker.
type Sampler interface {
	// AppendSample appends the sample of a batch to dst. input is the batch as parsed; scored is as for a
	// [BlockEncoder], with the same rows. Both are valid until the call returns.
	AppendSample(dst []byte, input, scored arrow.Record) ([]byte, error)
}

// ScoredChunk is the output for one chunk. Its buffers are reused after [Sink.WriteChunk] returns.
type ScoredChunk struct {
	ingest.Position
	Result  []byte // rows of the result file
	Rejects []byte // rows of the rejects file
	Blocks  []byte // COPY tuples
	Sample  []byte // encoded rows for retraining
	Tally   Tally
	Busy    BusyTimes
	Checked int // number of rows that leaves scored too

	ids      []uint64 // hashes of the customer ids
	snapshot snapshotChunk
}

// Score reads the rows of in, scores and explains them with the model of b, and passes each chunk's output to sink in
// input order. Memory is bounded by the number of workers, not by the size of the file. The error is that of the
// earliest chunk that failed; sink has received exactly the chunks before it. A panic in a stage or in sink is returned
// as a [*PanicError]. Input without rows is [ingest.ErrEmpty], input with too many rejected rows a [*BudgetError]. All
// goroutines have ended when Score returns.
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
	at, leave := opt.Flow.start(slotsFor(opt.workers()))
	defer leave()
	opt.Snapshot.reset(b, opt.Explain)

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
			at.enqueue(StageParse)
		}
		return err
	}
	var workers []*worker
	newWork := func() (func(*slot) error, error) { // one core each: a chunk from bytes to encoded results
		w, err := newWorker(in, b, opt, mapping)
		if err != nil {
			return nil, err
		}
		w.stages = at
		workers = append(workers, w)
		return w.chunkFunc(), nil
	}
	write := func(s *slot) error { // one goroutine: results in input order
		at.dequeue(StagePut)
		defer at.leave(StagePut)
		s.out.Tally.addDuplicateIDs(ids.add(s.out.ids), b)
		total.Add(&s.out.Tally)
		if err := opt.Budget.Check(&total); err != nil {
			return err
		}
		opt.Snapshot.add(&s.out.snapshot)
		return sink.WriteChunk(&s.out)
	}
	if err := runPipeline(ctx, opt.workers(), b.slots, read, newWork, write); err != nil {
		return total, err
	}
	if total.Rows == 0 {
		return total, ingest.ErrEmpty
	}
	for _, w := range workers {
		b.explainer.putWorker(w.explain)
	}
	return total, nil
}

func (opt Options) workers() int {
	if opt.Workers > 0 {
		return opt.Workers
	}
	return runtime.GOMAXPROCS(0)
}
