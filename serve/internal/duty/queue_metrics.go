package duty

import (
	"context"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/serve/internal/backoff"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
)

// queueInterval is how old the gauges of the queue may become.
const queueInterval = 5 * time.Second

// WatchQueue keeps the gauges of the queue current until ctx ends.
func WatchQueue(ctx context.Context, s *store.Store, m *metrics.Metrics, log *slog.Logger) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, queueInterval) {
		asked, cancel := context.WithTimeout(ctx, queueInterval)
		q, err := s.QueueState(asked)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("watch queue", "error", err)
			}
			continue
		}
		m.SetQueue(q)
	}
}
