// Package backoff pauses between attempts, for a time or until a context ends. The backoff between failed attempts at a
// part is partBackoff in store/fail.go, that of webhooks is webhookDelay in serve/internal/duty.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// OutageDelay is the mean pause after the database or the object store did not answer. Callers add jitter, so that workers
// do not retry at the same time.
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

// Jittered returns the pause after failures in a row, 1 or more: it doubles from 100 ms to longest, and a random part
// of up to half is taken off, so that many processes do not retry at the same moment.
func Jittered(failures int, longest time.Duration) time.Duration {
	d := min(100*time.Millisecond<<min(failures, 16), longest)
	return d/2 + rand.N(d/2+1)
}
