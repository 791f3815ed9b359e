package store

import (
	"context"
	"fmt"
	"time"

	"github.com/retainwise/millrace/store/backoff"

	"github.com/google/uuid"
)

// relayBatch is how many doorbells are sent at once, which is what SQS takes.
const relayBatch = 10

// Sender sends doorbells to a queue.
type Sender interface {
	// Send reports which of the predictions the queue took: a batch can succeed in part, with an error for the rest.
	Send(ctx context.Context, predictions []uuid.UUID) (taken []bool, err error)
}

// Relay sends the entries of the outbox to a queue until ctx ends: at each wake, and every few seconds without one.
func (o *Outbox) Relay(ctx context.Context, q Sender, wake <-chan struct{}) {
	for failures := 0; ctx.Err() == nil; {
		sent, err := o.relayOnce(ctx, q)
		switch {
		case err != nil && ctx.Err() == nil:
			o.log.Warn("outbox", "error", err.Error())
			failures++
			backoff.Pause(ctx, backoff.Jittered(failures, 20*time.Second))
		case sent == 0:
			failures = 0
			await(ctx, wake, o.pollInterval)
		}
	}
}

// await returns at a wake, or after d.
func await(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case _, open := <-wake:
		if !open {
			backoff.Pause(ctx, d)
		}
	}
}

// relayOnce sends at most one batch and returns how many messages the queue took. The others stay in the outbox.
func (o *Outbox) relayOnce(ctx context.Context, q Sender) (sent int, err error) {
	entries, err := o.Claim(ctx, relayBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	predictions := make([]uuid.UUID, len(entries))
	for i, e := range entries {
		predictions[i] = e.PredictionID
	}
	taken, err := q.Send(ctx, predictions)
	var delivered, refused []int64
	for i, e := range entries {
		if taken[i] {
			delivered = append(delivered, e.ID)
		} else {
			refused = append(refused, e.ID)
		}
	}
	after := context.WithoutCancel(ctx)
	if len(delivered) > 0 {
		if err := o.Discard(after, delivered); err != nil {
			return 0, fmt.Errorf("relay: %w", err)
		}
	}
	if len(refused) > 0 {
		if err := o.Release(after, refused); err != nil {
			return len(delivered), fmt.Errorf("relay: %w", err)
		}
	}
	if err != nil {
		return len(delivered), fmt.Errorf("relay: %w", err)
	}
	return len(delivered), nil
}
