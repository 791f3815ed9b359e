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

// Deadline ends predictions that take longer than one may, once what they need has been there for all that time. Every
// worker keeps it.
type Deadline struct {
	Store   *store.Ledger
	Objects objects.Store
	After   time.Duration // from the first claim on
	Metrics *metrics.Metrics
	Log     *slog.Logger
}

const deadlineInterval = time.Minute

// Run looks every minute until ctx ends.
func (d *Deadline) Run(ctx context.Context) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, deadlineInterval) {
		asked, cancel := context.WithTimeout(ctx, deadlineInterval)
		err := d.Once(asked)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.Log.Warn("deadline", "error", err)
		}
	}
}

// Once sends a heartbeat if everything that scoring needs answers, and ends what is overdue.
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
