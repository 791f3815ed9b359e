// Package circuit implements the circuit breakers of the dependencies: the database, the object store and the queue.
package circuit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Each dependency has breakers: the database for connecting and for pinging idle connections, the object store and the
// queue for their requests. After some failures in a row a breaker refuses calls for about a second and then lets one
// through as a trial. So callers do not wait for time-outs in an outage, and a server that comes back is not flooded.
// Breakers never retry. Retries are made by the AWS client, with pauses of one and two seconds, by the reader of objects,
// by the pool for a connection that broke while idle, and by the worker, which postpones its part.

const (
	breakerFailures = 5
	breakerDelay    = time.Second
	breakerJitter   = 300 * time.Millisecond
)

// OpenError means that a breaker did not let a call through.
type OpenError struct{ dependency string }

// Error implements error.
func (e *OpenError) Error() string { return e.dependency + ": circuit breaker open" }

// RetryableError returns false, so that the AWS client does not retry.
func (e *OpenError) RetryableError() bool { return false }

// Verdict is what a call has shown about its dependency.
type Verdict int

// The verdicts of a call.
const (
	NoVerdict Verdict = iota // nothing: its caller cancelled it, or it was not sent
	Answered                 // it is up, whatever the answer was
	Failed                   // no answer came
)

// Breaker is the circuit breaker of a dependency. It is safe for concurrent use.
type Breaker struct {
	dependency string
	opens      atomic.Int64

	mu           sync.Mutex
	failures     int       // in a row, while the circuit is closed
	isOpen       bool      // calls are refused, but for a trial
	until        time.Time // when the next trial may begin
	trialRunning bool      // a trial is running
}

// Permit is a call that was let through. It must be passed to [Breaker.Release].
type Permit struct{ trial bool }

func newBreaker(dependency string) *Breaker { return &Breaker{dependency: dependency} }

// state returns the state that the next call will find: an open circuit whose delay is over is half-open.
func (b *Breaker) state() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.isOpen:
		return Closed
	case time.Now().Before(b.until):
		return Open
	}
	return HalfOpen
}

// Call calls f, which returns a verdict, and returns its error; or an [*OpenError] without calling it if the circuit is
// open. A panic in f is no verdict.
func (b *Breaker) Call(f func() (Verdict, error)) error {
	p, err := b.Acquire()
	if err != nil {
		return err
	}
	v := NoVerdict
	defer func() { b.Release(p, v) }()
	v, err = f()
	return err
}

// Acquire lets a call through, or returns an [*OpenError].
func (b *Breaker) Acquire() (Permit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.isOpen:
		return Permit{}, nil
	case b.trialRunning || time.Now().Before(b.until):
		return Permit{}, &OpenError{b.dependency}
	}
	b.trialRunning = true
	return Permit{trial: true}, nil
}

// Release ends a call. While the circuit is not closed, only the trial's verdict counts: other calls began before.
// After a trial without a verdict the next call is the trial.
func (b *Breaker) Release(p Permit, v Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.trial {
		b.trialRunning = false
	}
	switch {
	case v == NoVerdict || b.isOpen && !p.trial:
	case v == Answered:
		b.failures, b.isOpen = 0, false
	case p.trial:
		b.open()
	default:
		if b.failures++; b.failures >= breakerFailures {
			b.open()
		}
	}
}

func (b *Breaker) open() {
	b.opens.Add(1)
	b.failures, b.isOpen = 0, true
	b.until = time.Now().Add(breakerDelay - breakerJitter + rand.N(2*breakerJitter))
}

// CallerCancelled reports whether a caller cancelled its context: the client left, the lease was lost, or the process is
// draining. That shows nothing about the dependency; an expired deadline does.
func CallerCancelled(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
