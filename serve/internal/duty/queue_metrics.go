package duty

import (
	"context"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

// queueInterval is how often the gauges of the queue are read.
const queueInterval = 5 * time.Second

// WatchQueue sets the gauges of queued and running predictions, dead letters, suspects and the outbox every 5 s until ctx ends.
func WatchQueue(ctx context.Context, s *store.Upkeep, m *metrics.Metrics, log *slog.Logger) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, queueInterval) {
		checkCtx, cancel := context.WithTimeout(ctx, queueInterval)
		q, err := s.QueueState(checkCtx)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("read gauges of the queue", "error", err)
			}
			continue
		}
		m.SetQueue(q)
	}
}
