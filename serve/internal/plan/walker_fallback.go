package plan

import (
	"errors"
	"log/slog"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/storefault"
)

// FallsBackToWalker reports whether err is an [engine.DifferenceError]: leaves has scored rows differently than the
// compiled engine, so the walker must score all of them again. It counts and logs that.
func FallsBackToWalker(err error, b *engine.Bundle, m *metrics.Metrics, log *slog.Logger) bool {
	var e *engine.DifferenceError
	if !errors.As(err, &e) {
		return false
	}
	m.ScorersDiffer(b.Name(), e)
	log.Error("leaves disagrees with the compiled engine: fallback to the walker", "model", b.Name(),
		"version", b.Version(), "kernel", b.Kernel(), "error", e)
	return true
}

// warnWithoutLeaves logs at load that leaves does not support a model, so that its scores are not checked, and why.
func warnWithoutLeaves(b *engine.Bundle, log *slog.Logger) {
	if err := b.LeavesError(); err != nil {
		log.Warn("leaves does not support the model: its scores are not checked while serving", "model", b.Name(),
			"version", b.Version(), "code", storefault.CodeOf(err).String(), "error", err)
	}
}
