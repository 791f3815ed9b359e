package duty

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/objects"
)

// Deadline fails predictions that take too long. The time of outages does not count: database and object store must have
// been available for all of it. Every worker runs one.
type Deadline struct {
	Store   *store.Ledger
	Objects objects.Store
	After   time.Duration // timeout, from the first claim on
	Metrics *metrics.Metrics
	Log     *slog.Logger
}

const deadlineInterval = time.Minute

// Run checks every minute until ctx ends.
func (d *Deadline) Run(ctx context.Context) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, deadlineInterval) {
		checkCtx, cancel := context.WithTimeout(ctx, deadlineInterval)
		err := d.Once(checkCtx)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("deadline", "error", err)
		}
	}
}

// Once records a heartbeat if database and object store are available, and fails the overdue predictions.
func (d *Deadline) Once(ctx context.Context) error {
	if err := store.PingObjects(ctx, d.Objects); err != nil {
		return err
	}
	if err := d.Store.Heartbeat(ctx); err != nil {
		return err
	}
	ended, err := d.Store.EndOverdue(ctx, d.After, d.failure())
	for _, t := range ended {
		d.Metrics.PredictionDone(t)
	}
	if len(ended) > 0 {
		d.Log.Warn("predictions timed out", "count", len(ended), "limit", d.After.String())
	}
	return err
}

func (d *Deadline) failure() store.Failure {
	limit, _ := json.Marshal(fault.Details{"limit": d.After.Seconds(), "unit": "seconds"})
	return store.Failure{
		Code: fault.CodePredictionTimeout.String(), Message: fault.CodePredictionTimeout.Message(), Details: limit, Permanent: true,
	}
}
