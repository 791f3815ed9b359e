package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/retainwise/millrace/store/backoff"

	"github.com/jackc/pgx/v5"
)

// Listen gives a channel that wakes a worker: when work has been queued, when a lease or a postponement ends, and after
// each poll interval, as a note can be lost with its connection. Wakes that nobody has taken yet become one. It keeps a
// connection of its own and makes a new one when that breaks. The channel is closed when ctx ends.
func (l *Ledger) Listen(ctx context.Context) <-chan struct{} {
	wake := make(chan struct{}, 1)
	go func() {
		defer close(wake)
		for failures := 0; ctx.Err() == nil; {
			heard, err := l.listen(ctx, wake)
			if ctx.Err() != nil {
				return
			}
			if heard {
				failures = 0
			}
			l.config.Log.Warn("doorbell connection lost", "error", err.Error())
			failures++
			backoff.Pause(ctx, backoff.Jittered(failures, l.config.PollInterval))
			knock(wake)
		}
	}()
	return wake
}

// errRenewed says that the server of a connection has been replaced by another.
var errRenewed = errors.New("the server was read-only")

// listen forwards notes until its connection breaks. heard says that it had been up.
func (l *Ledger) listen(ctx context.Context, wake chan<- struct{}) (heard bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, l.db.Pool.Config().ConnConfig)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+doorbell); err != nil {
		return false, err
	}
	era := l.db.Era.Load()
	due := time.Now() // at once: something may have been queued while nobody listened
	for {
		if !time.Now().Before(due) {
			knock(wake)
			ask, cancel := context.WithTimeout(ctx, claimTime)
			pause, err := l.NextDue(ask)
			cancel()
			if err != nil && ctx.Err() == nil {
				l.config.Log.Warn("look for the next claim that ends", "error", err.Error())
			}
			due = time.Now().Add(max(dueSpread, pause))
		}
		if l.db.Era.Load() != era {
			return true, errRenewed
		}
		wait, cancel := context.WithDeadline(ctx, due)
		_, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			knock(wake)
			if soon := time.Now().Add(noteDue); soon.Before(due) { // it may tell of a part that waits
				due = soon
			}
		case !silent || ctx.Err() != nil || conn.IsClosed():
			return true, err
		}
	}
}

// NextDue says how long it is until a worker should look again: until the first claim ends that is not renewed by then,
// or the poll interval, which is shorter than a lease, so that none ends in between. An error comes with the interval.
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
	dueSpread = 20 * time.Millisecond // keeps many workers from coming at once, and one from coming all the time
	noteDue   = time.Second           // behind a note; those that come until then share one look
)

func knock(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
