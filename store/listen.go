package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// Listen gives a channel that wakes a worker: when work has been queued, and after each poll interval without a note,
// as a note can be lost with its connection. Wakes that nobody has taken yet become one. It keeps a connection of its
// own and makes a new one when that breaks. The channel is closed when ctx ends.
func (s *Store) Listen(ctx context.Context) <-chan struct{} {
	wake := make(chan struct{}, 1)
	go func() {
		defer close(wake)
		for failures := 0; ctx.Err() == nil; {
			heard, err := s.listen(ctx, wake)
			if ctx.Err() != nil {
				return
			}
			if heard {
				failures = 0
			}
			s.config.Log.Warn("doorbell connection lost", "error", err.Error())
			failures++
			pause(ctx, backoff(failures, s.config.PollInterval))
			knock(wake)
		}
	}()
	return wake
}

// listen forwards notes until its connection breaks. heard says that it had been up.
func (s *Store) listen(ctx context.Context, wake chan<- struct{}) (heard bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+doorbell); err != nil {
		return false, err
	}
	knock(wake) // something may have been queued while nobody listened
	for {
		wait, cancel := context.WithTimeout(ctx, s.config.PollInterval)
		_, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		if err != nil && (!silent || ctx.Err() != nil || conn.IsClosed()) {
			return true, err
		}
		knock(wake)
	}
}

func knock(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// backoff doubles from 100 ms to longest and takes a random part of it, so that many workers do not come at once.
func backoff(failures int, longest time.Duration) time.Duration {
	d := min(100*time.Millisecond<<min(failures, 16), longest)
	return d/2 + rand.N(d/2+1)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
