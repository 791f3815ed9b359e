package work

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

// A suspect is a part, or a last step, whose worker process vanished while it held it: killed, out of memory, or paused
// for longer than a lease. It runs alone, so that it cannot take others with it: while it runs, its process holds nothing
// else, and a process ends what it holds before it begins one. Processes are independent in this.

const (
	// suspectsAtATime is for how long a process goes on with suspects before it turns to other parts. Ending what it holds
	// takes as long as a part of a large file, which may be much longer than a suspect.
	suspectsAtATime = time.Second
	suspectsPause   = 200 * time.Millisecond // between two looks for suspects, at least half of it
)

// places are what a process may hold at the same time: an attempt occupies one, a suspect all. Waiting goroutines get them
// in the order in which they came, so that neither suspects nor others starve.
type places chan struct{}

// take waits for n places. It returns false, with none, if ctx ends before.
func (p places) take(ctx context.Context, n int) bool {
	for i := range n {
		select {
		case p <- struct{}{}:
		case <-ctx.Done():
			p.give(i)
			return false
		}
	}
	return true
}

func (p places) give(n int) {
	for range n {
		<-p
	}
}

// suspectLoop reserves suspects and works on them alone until ctx ends; drain bounds the attempt in progress.
func (w *Worker) suspectLoop(ctx, drain context.Context) {
	for ctx.Err() == nil {
		c, err := w.ledger.ReserveSuspect(ctx, w.config.Name)
		switch {
		case err != nil:
			w.backOffAfter(ctx, "reserve suspect", err)
		case c == nil:
			backoff.Pause(ctx, suspectsPause/2+rand.N(suspectsPause))
			select {
			case <-ctx.Done():
			case <-w.suspects:
			}
		case !w.places.take(ctx, cap(w.places)):
			w.release(ctx, c)
		default:
			ok := w.workAlone(ctx, drain, c)
			w.places.give(cap(w.places))
			if !ok {
				w.backOff(ctx)
			}
		}
	}
}

// workAlone works on a reserved suspect, and on others for suspectsAtATime. The caller has all places. It returns false if
// the next would meet an outage as well.
func (w *Worker) workAlone(ctx, drain context.Context, c *store.Claim) (ok bool) {
	for begin := time.Now(); ; {
		err := w.ledger.Begin(ctx, c)
		switch {
		case err == nil:
			result, ok := w.attemptOf(drain, c)
			w.metricsOf(c).SuspectDone(result)
			if !ok {
				return false
			}
		case !errors.Is(err, store.ErrLeaseLost): // it is lost if ending the others took longer than a lease
			w.log.Error("begin suspect", "prediction_id", c.PublicID, "part", c.Part.No, "error", err)
			w.release(ctx, c)
			return false
		}
		if ctx.Err() != nil || time.Since(begin) > suspectsAtATime {
			return true
		}
		if c, err = w.ledger.ReserveSuspect(ctx, w.config.Name); c == nil {
			return err == nil
		}
	}
}

// release releases a reservation, which may have been begun.
func (w *Worker) release(ctx context.Context, c *store.Claim) {
	err := w.retryUntilStored(ctx, func(ctx context.Context) error { return w.ledger.ReleasePart(ctx, c) })
	if err != nil && !errors.Is(err, store.ErrLeaseLost) {
		w.log.Error("release suspect", "prediction_id", c.PublicID, "part", c.Part.No, "error", err)
	}
}

// acquit takes back the death that was counted for a claim whose lease was lost: this process lives.
func (w *Worker) acquit(ctx context.Context, c *store.Claim) {
	err := w.retryUntilStored(ctx, func(ctx context.Context) error { return w.ledger.Acquit(ctx, c) })
	if err != nil {
		w.log.Warn("acquit", "prediction_id", c.PublicID, "part", c.Part.No, "error", err)
	}
}
