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

// sweepDeletions deletes the objects of queued deletions.
func sweepDeletions(ctx context.Context, s *store.Store, o objects.Store, log *slog.Logger) {
	err := s.Upkeep.SweepDeletions(ctx, o)
	if errors.Is(err, store.ErrNotOwner) {
		return // WatchOwnership reports it; the deletions stay queued
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("sweep deletions", "error", err)
	}
}

const (
	sweepInterval = 30 * time.Second
	sweepAge      = 30 * time.Second // a prediction that is queued for longer is notified again
)

// Sweep repeats every 30 s until ctx ends, with jitter because every worker runs it: it sends lost notifications of queued
// predictions again, deletes expired idempotency keys, rate limit budgets and upload links, and continues deletions.
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
