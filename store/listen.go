package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/retainwise/millrace/store/backoff"
)

// Listen returns a channel that wakes a worker: when work has been queued, when a lease or a postponement ends, and after
// each poll interval, as a NOTIFY can be lost with its connection. Wakes that have not been received yet coalesce. Its
// goroutine keeps a connection outside the pool, reconnects with backoff, and closes the channel when ctx ends.
func (l *Ledger) Listen(ctx context.Context) <-chan struct{} {
	wake := make(chan struct{}, 1)
	go func() {
		defer close(wake)
		for failures := 0; ctx.Err() == nil; {
			connected, err := l.listen(ctx, wake)
			if ctx.Err() != nil {
				return
			}
			if connected {
				failures = 0
			}
			l.config.Log.Warn("doorbell connection lost", "error", err.Error())
			failures++
			backoff.Pause(ctx, backoff.Jittered(failures, l.config.PollInterval))
			notify(wake)
		}
	}()
	return wake
}

// errRenewed means that the server of a connection has been replaced by another.
var errRenewed = errors.New("the server was replaced, or does not answer")

// listen forwards notifications until its connection breaks. connected reports whether it had been up.
func (l *Ledger) listen(ctx context.Context, wake chan<- struct{}) (connected bool, err error) {
	era := l.db.Era()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(era, cancel)()
	conn, err := l.db.Connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+doorbell); err != nil {
		return false, err
	}
	due := time.Now() // at once: parts may have been queued before LISTEN
	for {
		if !time.Now().Before(due) {
			notify(wake)
			ask, cancel := context.WithTimeout(ctx, claimTimeout)
			pause, err := l.NextDue(ask)
			cancel()
			if err != nil && ctx.Err() == nil {
				l.config.Log.Warn("find next due claim", "error", err.Error())
			}
			due = time.Now().Add(max(dueSpread, pause))
		}
		wait, cancel := context.WithDeadline(ctx, due)
		_, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		switch {
		case era.Err() != nil:
			return true, errRenewed
		case err == nil:
			notify(wake)
			if soon := time.Now().Add(noteDue); soon.Before(due) { // its part may be postponed
				due = soon
			}
		case !silent || ctx.Err() != nil || conn.IsClosed():
			return true, err
		}
	}
}

// NextDue returns how long a worker may wait until it tries to claim again: until the first lease or postponement ends,
// at most the poll interval, which is shorter than a lease. With an error it returns the poll interval.
func (l *Ledger) NextDue(ctx context.Context) (time.Duration, error) {
	due := min(l.config.PollInterval, l.config.Lease/2)
	var seconds *float64
	err := l.db.Pool.QueryRow(ctx, `
		SELECT extract(epoch FROM least(
		    (SELECT min(lease_until) FROM prediction_parts
		     WHERE status = 'open' AND epoch > 0 AND lease_until > clock_timestamp()),
		    (SELECT min(finish_lease_until) FROM predictions
		     WHERE finish_due AND finish_lease_until > clock_timestamp())) - clock_timestamp())::float8`).Scan(&seconds)
	if err != nil {
		return due, fmt.Errorf("find next due: %w", err)
	}
	if seconds == nil {
		return due, nil
	}
	return min(due, time.Duration(*seconds*float64(time.Second))+rand.N(dueSpread)), nil
}

const (
	dueSpread = 20 * time.Millisecond // jitter between workers, and the least pause of one
	noteDue   = time.Second           // after a notification; later ones until then share one query
)

// notify wakes the receiver of wake, unless a wake is pending already.
func notify(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
