// Package backoff waits between attempts, for a time or until a context ends.
package backoff

import (
	"context"
	"time"
)

// ClaimPause is the mean rest after the database or the object store did not answer; what is added keeps many workers
// from coming at once.
const ClaimPause = time.Second

func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

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
