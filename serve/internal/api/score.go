package api

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/wire"
)

const (
	scoreTimeout = 2 * time.Minute
	// scoreChunkBytes is smaller than for stored files, so that a small file is split over all cores.
	scoreChunkBytes = 128 << 10
)

// scoreSlots bounds the files that are scored in memory at the same time, and so memory and contention for cores.
func scoreSlots() int { return max(2, runtime.GOMAXPROCS(0)) }

// postScore scores a small file and answers with the result. It stores nothing.
func postScore(s *server, r *request) error {
	format, err := r.negotiate(wire.FormatCSV, wire.FormatJSON, wire.FormatLines, wire.FormatArrow)
	if err != nil {
		return err
	}
	explain, err := r.explainParam()
	if err != nil {
		return err
	}
	options, err := r.optionsParams()
	if err != nil {
		return err
	}
	file, err := r.openRows(s.ScoreBytesMax)
	if err != nil {
		return err
	}
	leave, err := r.work(file.body, s.places.Scores)
	if err != nil {
		return err
	}
	defer leave()
	scored, err := s.score(r, file, engine.Options{
		Workers: s.Config.Cores, Explain: explain, Budget: options.Budget, WithHeader: true,
		Unguarded: options.Unguarded(),
	}, options)
	if err != nil {
		return s.scoreFailure(file, err)
	}
	return s.answerScore(r, scored, format)
}

// scored is the result of a file that is scored in memory, and the sink of the scoring.
type scored struct {
	result, rejects *wire.Spool
	tally           engine.Tally
	bundle          *engine.Bundle
	metrics         *metrics.Metrics
	unguarded       bool
}

// WriteChunk implements [engine.Sink].
func (o *scored) WriteChunk(c *engine.ScoredChunk) error {
	o.metrics.ChunkDone(o.bundle.Name(), c)
	if _, err := o.result.Write(c.Result); err != nil {
		return err
	}
	_, err := o.rejects.Write(c.Rejects)
	return err
}

func (o *scored) close() {
	_ = o.result.Close()
	_ = o.rejects.Close()
}

// score scores the request's body.
func (s *server) score(r *request, file *uploadFile, opt engine.Options, options plan.PredictionOptions) (*scored, error) {
	limits := s.scoreLimits()
	text, err := ingest.Unpack(file, limits)
	if err != nil {
		return nil, err
	}
	if file.rows != nil {
		text = file.rows(text, limits)
	}
	header, rows, err := ingest.ReadHeader(text, limits)
	if err != nil {
		return nil, err
	}
	bundle, err := s.chooseModel(r, file, header)
	if err != nil {
		return nil, err
	}
	in := engine.Input{Body: rows, Header: header, Start: header.Start(), Limits: limits}
	if err := in.DecideNumbers(bundle, options.NumberStyle); err != nil {
		return nil, err
	}
	if err := in.CheckColumns(bundle, options.ColumnCheck); err != nil {
		return nil, err
	}
	opt.Flow, opt.Scorer, opt.Check = s.Metrics.Flow(), s.Scorer, true
	out, err := s.scoreChecked(r, in, bundle, opt)
	if err == nil {
		err = file.finish()
	}
	if err == nil {
		out.tally.ColumnCheck = options.ColumnCheck
		err = cmp.Or(out.tally.CheckNumbers(), out.tally.CheckColumns(options.ColumnCheck))
	}
	if err != nil {
		out.close()
		return nil, err
	}
	return out, nil
}

// scoreChecked scores with the configured engine, and again with the walker if leaves disagrees with the compiled engine;
// it buffers the rows for that. The result is never nil, also with an error.
func (s *server) scoreChecked(
	r *request, in engine.Input, bundle *engine.Bundle, opt engine.Options,
) (*scored, error) {
	rows, kept := in.Body, r.newSpool()
	defer func() { _ = kept.Close() }()
	if bundle.LeavesError() == nil && opt.Scorer != engine.ScorerLeaves {
		in.Body = io.TeeReader(rows, kept)
	}
	out, err := s.scoreOnce(r, in, bundle, opt)
	if plan.FallsBackToWalker(err, bundle, s.Metrics, s.Log) {
		out.close()
		in.Body, opt.Scorer = io.MultiReader(kept, rows), engine.ScorerWalker
		out, err = s.scoreOnce(r, in, bundle, opt)
	}
	return out, err
}

func (s *server) scoreOnce(
	r *request, in engine.Input, bundle *engine.Bundle, opt engine.Options,
) (out *scored, err error) {
	out = &scored{
		result: r.newSpool(), rejects: r.newSpool(), bundle: bundle, metrics: s.Metrics, unguarded: opt.Unguarded,
	}
	out.tally, err = engine.Score(r.ctx, in, bundle, opt, out)
	return out, err
}

func (s *server) scoreLimits() ingest.Limits {
	limits := s.UploadLimits
	limits.RowsMax, limits.ChunkBytes = s.ScoreRowsMax, scoreChunkBytes
	limits.UnpackedMax = 4 * s.ScoreBytesMax
	return limits
}

// scoreFailure prefers the error of the body to its consequences, and refers a file with too many rows to /upload.
func (s *server) scoreFailure(file *uploadFile, err error) error {
	if broken := file.body.failed(); broken != nil {
		return broken
	}
	var large *ingest.TooLargeError
	if errors.As(err, &large) && large.Unit == "rows" {
		return fault.Fail(fault.CodeTooManyToScore, fmt.Sprintf(
			"More than %s rows cannot be scored in one request. Send the file to POST /upload instead.",
			fault.GroupedText(large.Limit))).With(fault.Details{"limit": large.Limit, "unit": "rows"})
	}
	return err
}
