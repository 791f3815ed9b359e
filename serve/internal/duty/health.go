package duty

import (
	"context"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/counts"
)

// healthInterval is how often the gauges of models' health are set.
const healthInterval = time.Minute

// WatchHealth sets the gauges that say whether the models in use are still right, every minute until ctx ends.
func WatchHealth(ctx context.Context, t *counts.Table, models *plan.KeptModels, m *metrics.Metrics, log *slog.Logger) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, healthInterval) {
		if err := SetHealth(ctx, t, models, m); err != nil && ctx.Err() == nil {
			log.Warn("read gauges of models", "error", err)
		}
	}
}

// SetHealth sets the gauges once. A figure that cannot be had for want of rows has no gauge.
func SetHealth(ctx context.Context, t *counts.Table, models *plan.KeptModels, m *metrics.Metrics) error {
	ctx, cancel := context.WithTimeout(ctx, healthInterval)
	defer cancel()
	inUse, err := models.InUse(ctx)
	if err != nil {
		return err
	}
	var list []metrics.ModelHealth
	for _, b := range inUse {
		now, err := health.Current(ctx, t, b.SHA256, time.Now())
		if err != nil {
			return err
		}
		h := metrics.ModelHealth{
			Model: b.Name, Version: b.Version, Rejected: now.RejectedShare, Unseen: now.UnseenShare,
		}
		if now.Score != nil {
			h.Scores = &now.Score.PSI
		}
		if len(now.Columns) > 0 {
			h.Columns = &now.Columns[0].PSI
		}
		if o := now.Outcomes; o != nil {
			h.AUC, h.Calibration, h.Lift = o.AUC, o.Error, o.Lift
		}
		list = append(list, h)
	}
	m.SetModelHealth(list)
	return nil
}
