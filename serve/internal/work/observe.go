package work

import (
	"context"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
)

// metricsOf returns the metrics that count a claim: the canary is counted apart from customers' work.
func (w *Worker) metricsOf(c *store.Claim) *metrics.Metrics {
	if plan.Internal(c.Options) {
		return w.internalMetrics
	}
	return w.metrics
}

// observeEnd counts a claim's prediction if it has ended; summary is nil if it has none.
func (w *Worker) observeEnd(ctx context.Context, c *store.Claim, summary *engine.Summary) {
	times, err := w.ledger.Times(ctx, c)
	if err != nil {
		w.log.Warn("read times", "prediction_id", c.PublicID, "error", err)
		return
	}
	if !times.Status.Done() {
		return
	}
	m := w.metricsOf(c)
	m.PredictionDone(times)
	if summary != nil {
		m.Scored(c.Model.Name, summary)
	}
}
