// Package circuit has the circuit breakers before the dependencies: the database, the object store and the queue.
package circuit

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A breaker stands before each dependency: the database (its connections, when they are made and when they are used
// after a while), the object store and the queue (their requests). After some failures in a row it refuses at once for
// about a second and then lets one call through as a trial. So callers do not wait for time-outs in an outage, and a server that
// comes back is not met by everyone at the same moment. Breakers never repeat a call. What repeats, once per call, is: the
// AWS client with pauses of one and two seconds, the reader of objects, the pool for a connection that died idle; and the
// worker, which postpones its part.

const (
	breakerFailures = 5
	breakerDelay    = time.Second
	breakerJitter   = 300 * time.Millisecond
)

// OpenError says that a breaker did not let a call through.
type OpenError struct{ dependency string }

func (e *OpenError) Error() string { return e.dependency + ": circuit breaker open" }

// RetryableError makes the AWS client take the refusal for an answer.
func (e *OpenError) RetryableError() bool { return false }

// Verdict is what a call says about the dependency that it was made to.
type Verdict int

const (
	NoVerdict Verdict = iota // nothing: its caller left, or it never got as far
	Answered                 // it is there, whatever the answer was
	Failed                   // no answer came
)

// Breaker is safe for concurrent use.
type Breaker struct {
	dependency string
	opens      atomic.Int64

	mu       sync.Mutex
	failures int       // in a row, while the circuit is closed
	shut     bool      // calls are refused, or one is tried
	until    time.Time // when the next trial may begin
	trying   bool      // the trial is under way
}

// Permit is a call that was let through. It must be given back.
type Permit struct{ trial bool }

func newBreaker(dependency string) *Breaker { return &Breaker{dependency: dependency} }

// state takes an open circuit whose time is over for what the next call will find.
func (b *Breaker) state() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.shut:
		return Closed
	case time.Now().Before(b.until):
		return Open
	}
	return HalfOpen
}

// Call runs f unless the dependency is known to be away. f says what came of it.
func (b *Breaker) Call(f func() (Verdict, error)) error {
	p, err := b.Take()
	if err != nil {
		return err
	}
	v := NoVerdict
	defer func() { b.Give(p, v) }() // a panic in f is no verdict
	v, err = f()
	return err
}

// Take lets a call through, or refuses it with a [*refusedError].
func (b *Breaker) Take() (Permit, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.shut:
		return Permit{}, nil
	case b.trying || time.Now().Before(b.until):
		return Permit{}, &OpenError{b.dependency}
	}
	b.trying = true
	return Permit{trial: true}, nil
}

// Give ends a call. While the circuit is not closed, only the trial's verdict counts: others began before. A trial
// without one leaves its place to the next call.
func (b *Breaker) Give(p Permit, v Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.trial {
		b.trying = false
	}
	switch {
	case v == NoVerdict || b.shut && !p.trial:
	case v == Answered:
		b.failures, b.shut = 0, false
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
	b.failures, b.shut = 0, true
	b.until = time.Now().Add(breakerDelay - breakerJitter + rand.N(2*breakerJitter))
}

// GaveUp says that the caller does not wait any more, for whatever cause: it left, lost its lease or was drained. That is
// no sign of the dependency. A deadline is: it is ours.
func GaveUp(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
