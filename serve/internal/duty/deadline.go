package serve

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/store"
)

// deadline ends predictions that take longer than one may, once what they need has been there for all that time. Every
// worker keeps it.
type deadline struct {
	store   *store.Store
	objects store.Objects
	after   time.Duration // from the first claim on
	metrics *Metrics
	log     *slog.Logger
}

const deadlineInterval = time.Minute

// run looks every minute until ctx ends.
func (d *deadline) run(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, deadlineInterval) {
		asked, cancel := context.WithTimeout(ctx, deadlineInterval)
		err := d.once(asked)
		cancel()
		if err != nil && ctx.Err() == nil {
			d.log.Warn("deadline", "error", err)
		}
	}
}

// once sends a heartbeat if everything that scoring needs answers, and ends what is overdue.
func (d *deadline) once(ctx context.Context) error {
	if err := store.Reach(ctx, d.objects); err != nil {
		return err
	}
	if err := d.store.Heartbeat(ctx); err != nil {
		return err
	}
	ended, err := d.store.EndOverdue(ctx, d.after, d.failure())
	for _, t := range ended {
		d.metrics.PredictionDone(t)
	}
	if len(ended) > 0 {
		d.log.Warn("predictions timed out", "count", len(ended), "limit", d.after.String())
	}
	return err
}

func (d *deadline) failure() store.Failure {
	limit, _ := json.Marshal(details{"limit": d.after.Seconds(), "unit": "seconds"})
	return store.Failure{
		Code: CodePredictionTimeout.String(), Message: CodePredictionTimeout.Message(), Details: limit, Permanent: true,
	}
}
