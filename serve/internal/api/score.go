package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
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
	// scoreChunkBytes is less than for stored files, so that every core gets its share of a small one.
	scoreChunkBytes = 128 << 10
)

// scoresAtOnce keeps the memory of results and the fight for cores bounded.
func scoresAtOnce() int { return max(2, runtime.GOMAXPROCS(0)) }

// postScore scores a small file and answers with the result; nothing is stored.
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
	leave, err := enter(r.ctx, s.scores, "files being scored")
	if err != nil {
		return err
	}
	defer leave()
	scored, err := s.score(r, file, engine.Options{
		Workers: s.Config.Cores, Explain: explain, Budget: options.Budget, WithHeader: true,
		Unguarded: options.Unguarded() || format != wire.FormatCSV, // only CSV is opened in spreadsheets
	}, options.NumberStyle)
	if err != nil {
		return s.scoreFailure(file, err)
	}
	return s.answerScore(r, scored, format)
}

// explainParam reads ?explain=.
func (r *request) explainParam() (engine.Explain, error) {
	switch given := engine.Explain(r.query["explain"]); given {
	case "":
		return engine.ExplainAll, nil
	case engine.ExplainAll, engine.ExplainAtRisk, engine.ExplainNone:
		return given, nil
	}
	return "", fault.Fail(fault.CodeInvalidValue, "'explain' must be all, at_risk or none.").
		With(fault.Details{"field": "explain", "expected": []string{"all", "at_risk", "none"}})
}

// budgetParams reads ?max_rejected= and ?max_rejected_percent=.
func (r *request) budgetParams() (b engine.Budget, err error) {
	if text := r.query["max_rejected"]; text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return b, fault.Fail(fault.CodeInvalidValue, "'max_rejected' must be a whole number of rows.").
				With(fault.Details{"field": "max_rejected"})
		}
		b.MaxRejected = &n
	}
	if text := r.query["max_rejected_percent"]; text != "" {
		share, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(share) {
			return b, fault.Fail(fault.CodeInvalidValue, "'max_rejected_percent' must be a number.").
				With(fault.Details{"field": "max_rejected_percent"})
		}
		if share < 0 || share > 100 {
			return b, outOfRange("max_rejected_percent", 0, 100)
		}
		b.MaxRejectedPercent = &share
	}
	return b, nil
}

// scored is a file that was scored in memory. It is the sink of its own scoring.
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
	_, _ = o.result.Write(c.Result)
	_, _ = o.rejects.Write(c.Rejects)
	return nil
}

func (o *scored) close() {
	_ = o.result.Close()
	_ = o.rejects.Close()
}

// score runs the data path of the engine on the request's body as it arrives.
func (s *server) score(r *request, file *uploadFile, opt engine.Options, style ingest.NumberStyle) (*scored, error) {
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
	if err := in.DecideNumbers(bundle, style); err != nil {
		return nil, err
	}
	opt.Flow, opt.Scorer, opt.Check = s.Metrics.Flow(), s.Scorer, true
	out, err := s.scoreChecked(r, in, bundle, opt)
	if err == nil {
		err = file.finish()
	}
	if err == nil {
		err = out.tally.CheckNumbers()
	}
	if err != nil {
		out.close()
		return nil, err
	}
	return out, nil
}

// scoreChecked scores again by the walker where leaves disagrees with the compiled engine. The rows are kept for that
// until then. The result is never nil.
func (s *server) scoreChecked(
	r *request, in engine.Input, bundle *engine.Bundle, opt engine.Options,
) (*scored, error) {
	rows, kept := in.Body, &wire.Spool{Free: &s.blocks}
	defer func() { _ = kept.Close() }()
	if bundle.NoLeaves() == nil && opt.Scorer != engine.ScorerLeaves {
		in.Body = io.TeeReader(rows, kept)
	}
	out, err := s.scoreOnce(r.ctx, in, bundle, opt)
	if plan.Disagreed(err, bundle, s.Metrics, s.Log) {
		out.close()
		in.Body, opt.Scorer = io.MultiReader(kept, rows), engine.ScorerWalker
		out, err = s.scoreOnce(r.ctx, in, bundle, opt)
	}
	return out, err
}

func (s *server) scoreOnce(
	ctx context.Context, in engine.Input, bundle *engine.Bundle, opt engine.Options,
) (out *scored, err error) {
	out = &scored{
		result: &wire.Spool{Free: &s.blocks}, rejects: &wire.Spool{Free: &s.blocks}, bundle: bundle, metrics: s.Metrics,
		unguarded: opt.Unguarded,
	}
	out.tally, err = engine.Score(ctx, in, bundle, opt, out)
	return out, err
}

func (s *server) scoreLimits() ingest.Limits {
	limits := s.UploadLimits
	limits.RowsMax, limits.ChunkBytes = s.ScoreRowsMax, scoreChunkBytes
	limits.UnpackedMax = 4 * s.ScoreBytesMax
	return limits
}

// scoreFailure prefers what is wrong with the body to its consequences, and sends who has too many rows to /upload.
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
