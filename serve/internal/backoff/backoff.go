// Package backoff has the pauses between attempts, for a duration or until a context ends. When to retry is for the caller
// to decide; the AWS client and the database's circuit breaker have their own.
package backoff

import (
	"context"
	"time"
)

// OutageDelay is the mean pause after the database or the object store was unavailable. Callers add jitter, so that many
// workers do not retry at the same time.
const OutageDelay = time.Second

// Pause is [Sleep] for loops that check the context themselves.
func Pause(ctx context.Context, d time.Duration) { _ = Sleep(ctx, d) }

// Sleep waits for d, or returns the context's error if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
