package duty

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/objects"
)

// sweepDeletions goes on with deletions that were asked for.
func sweepDeletions(ctx context.Context, s *store.Store, o objects.Store, log *slog.Logger) {
	err := s.Upkeep.SweepDeletions(ctx, o)
	if errors.Is(err, store.ErrNotOwner) {
		return // it is reported as a state; what was asked for stays queued
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("sweep deletions", "error", err)
	}
}

const (
	sweepInterval = 30 * time.Second
	sweepAge      = 30 * time.Second // a prediction that waits longer is rung for again
)

// Sweep mends what a crash left: queued predictions without a notification. It also forgets idempotency keys whose time is
// over, and goes on with deletions. Every worker does this, so the times are spread.
func Sweep(ctx context.Context, s *store.Store, o objects.Store, log *slog.Logger) {
	for ctx.Err() == nil {
		if _, err := s.Outbox.Sweep(ctx, sweepAge); err != nil && ctx.Err() == nil {
			log.Warn("sweep", "error", err)
		}
		if err := s.Upkeep.SweepKeys(ctx); err != nil && ctx.Err() == nil {
			log.Warn("sweep keys", "error", err)
		}
		if err := s.Upkeep.SweepBudgets(ctx); err != nil && ctx.Err() == nil {
			log.Warn("sweep budgets", "error", err)
		}
		if err := s.UploadLinks.Sweep(ctx, plan.UploadLinkAge); err != nil && ctx.Err() == nil {
			log.Warn("sweep upload links", "error", err)
		}
		sweepDeletions(ctx, s, o, log)
		backoff.Pause(ctx, sweepInterval/2+rand.N(sweepInterval))
	}
}
