package plan

import (
	"errors"
	"log/slog"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
)

// FallsBackToWalker says that leaves scores rows differently than the compiled engine did, so that the walker must score all of
// them. It counts that and logs it.
func FallsBackToWalker(err error, b *engine.Bundle, m *metrics.Metrics, log *slog.Logger) bool {
	var e *engine.DifferenceError
	if !errors.As(err, &e) {
		return false
	}
	m.ScorersDiffer(b.Name(), e)
	log.Error("leaves disagrees with the compiled engine, the walker scores again", "model", b.Name(),
		"version", b.Version(), "kernel", b.Kernel(), "error", e)
	return true
}

// warnWithoutLeaves says at load that a model is served without leaves to check it, and why.
func warnWithoutLeaves(b *engine.Bundle, log *slog.Logger) {
	if err := b.NoLeaves(); err != nil {
		log.Warn("leaves cannot hold the model, nothing checks its scores while serving", "model", b.Name(),
			"version", b.Version(), "code", fault.CodeOf(err).String(), "error", err)
	}
}
