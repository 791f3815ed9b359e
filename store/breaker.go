package store

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// A breaker stands before each dependency: the database (its connections, when they are made and when they are used
// after a while), the object store and the queue (their requests). After some failures in a row it refuses at once for
// about a second and then lets one call through as a trial. So nobody waits for time-outs in an outage, and a server that
// comes back is not met by everyone at the same moment. Breakers never repeat a call. What repeats, once per call, is: the
// AWS client with pauses of one and two seconds, the reader of objects, the pool for a connection that died idle; and the
// worker, which postpones its part.

const (
	breakerFailures = 5
	breakerDelay    = time.Second
	breakerJitter   = 300 * time.Millisecond
	dialTimeout     = 1500 * time.Millisecond // an answer to a request is promised within 2 s
	silenceTimeout  = dialTimeout             // of a server that accepted a connection, and of its host at any time
	pingTimeout     = 800 * time.Millisecond  // a request may meet two connections that are silent
)

// refusedError says that a breaker did not let a call through.
type refusedError struct{ dependency string }

func (e *refusedError) Error() string { return e.dependency + " is away: not asked again so soon" }

// RetryableError tells the AWS client to take the refusal for an answer.
func (e *refusedError) RetryableError() bool { return false }

type breaker struct {
	dependency string
	circuit    circuitbreaker.CircuitBreaker[any]
	opens      atomic.Int64
}

func newBreaker(dependency string) *breaker {
	b := &breaker{dependency: dependency}
	b.circuit = circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(breakerFailures).WithSuccessThreshold(1).
		WithDelay(breakerDelay).WithJitter(breakerJitter).
		OnOpen(func(circuitbreaker.StateChangedEvent) { b.opens.Add(1) }).Build()
	return b
}

// state takes an open circuit whose time is over for what the next call will find.
func (b *breaker) state() CircuitState {
	switch {
	case b.circuit.IsClosed():
		return CircuitClosed
	case b.circuit.RemainingDelay() > 0:
		return CircuitOpen
	}
	return CircuitHalfOpen
}

// call runs f unless the dependency is known to be away. f says whether the dependency answered, whatever it said.
func (b *breaker) call(f func() (answered bool, err error)) error {
	if !b.circuit.TryAcquirePermit() {
		return &refusedError{b.dependency}
	}
	answered, err := f()
	b.record(answered)
	return err
}

func (b *breaker) record(answered bool) {
	if answered {
		b.circuit.RecordSuccess()
	} else {
		b.circuit.RecordFailure()
	}
}

// gaveUp says that the caller lost patience, which is no sign of the dependency. A deadline is: it is ours.
func gaveUp(ctx context.Context) bool { return errors.Is(context.Cause(ctx), context.Canceled) }

// guardedClient is an HTTP client behind the breaker.
type guardedClient struct {
	*breaker
	next aws.HTTPClient
}

// Do implements aws.HTTPClient. An answer that a server is overloaded is an answer; that a proxy has no server is none.
func (g guardedClient) Do(req *http.Request) (resp *http.Response, err error) {
	err = g.call(func() (bool, error) {
		resp, err = g.next.Do(req)
		if err != nil {
			return gaveUp(req.Context()), err
		}
		return resp.StatusCode != http.StatusBadGateway && resp.StatusCode != http.StatusGatewayTimeout, nil
	})
	return resp, err
}
