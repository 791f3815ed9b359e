package serve

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// internalOptions marks work of our own, which is in no statistics.
var internalOptions = json.RawMessage(`{"internal":true}`)

// internal says that a prediction's options mark it as our own. Customers cannot set them.
func internal(options json.RawMessage) bool {
	var o struct {
		Internal bool `json:"internal"`
	}
	return json.Unmarshal(options, &o) == nil && o.Internal
}

// counted is where the figures of a claim go: those of our own work are not shown with the customers'.
func (w *worker) counted(c *store.Claim) *Metrics {
	if internal(c.Options) {
		return w.unpublished
	}
	return w.metrics
}

// observeEnd shows a claim's prediction if it has come to its end; summary is nil if it has none.
func (w *worker) observeEnd(ctx context.Context, c *store.Claim, summary *engine.Summary) {
	times, err := w.ledger.Times(ctx, c)
	if err != nil {
		w.log.Warn("read times", "prediction_id", c.PublicID, "error", err)
		return
	}
	if !times.Status.Done() {
		return
	}
	m := w.counted(c)
	m.PredictionDone(times)
	if summary != nil {
		m.Scored(c.Model.Name, summary)
	}
}

// queueInterval is how old the gauges of the queue may become.
const queueInterval = 5 * time.Second

// watchQueue keeps the gauges of the queue current until ctx ends.
func watchQueue(ctx context.Context, s *store.Store, m *Metrics, log *slog.Logger) {
	for ; ctx.Err() == nil; pause(ctx, queueInterval) {
		asked, cancel := context.WithTimeout(ctx, queueInterval)
		q, err := s.QueueState(asked)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				log.Warn("watch queue", "error", err)
			}
			continue
		}
		m.Queue(q)
	}
}
