// Package backoff waits between attempts, for a time or until a context ends.
package backoff

import (
	"context"
	"time"
)

// OutageDelay is the mean rest after the database or the object store did not answer; what is added keeps many workers
// from coming at once.
const OutageDelay = time.Second

// Pause is Sleep for loops that look at the context themselves.
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
