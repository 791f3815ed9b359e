package store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreakerAsksSeldomInAnOutage(t *testing.T) {
	var circuits Circuits
	b := circuits.newBreaker(DependencyDatabase)
	circuits.newBreaker(DependencyDatabase) // closed: the worst is shown
	circuits.newBreaker(DependencyQueue)
	want := func(dependency string, state CircuitState, opens int64) {
		t.Helper()
		if got := circuits.Of(dependency); got != (Circuit{state, opens}) {
			t.Errorf("%s: %+v, want state %d after %d", dependency, got, state, opens)
		}
	}
	want(DependencyDatabase, CircuitClosed, 0)
	away, calls := true, 0
	call := func() error {
		return b.call(func() (verdict, error) {
			calls++
			if away {
				return failed, io.ErrUnexpectedEOF
			}
			return answered, nil
		})
	}
	for range 50 {
		if err := call(); err == nil || calls > breakerFailures {
			t.Fatalf("call %d: %v", calls, err)
		}
	}
	err := call()
	var refused *refusedError
	if !errors.As(err, &refused) || !Unavailable(err) || refused.RetryableError() ||
		!strings.Contains(err.Error(), "database") {
		t.Errorf("refused with %v", err)
	}
	want(DependencyDatabase, CircuitOpen, 1)
	want(DependencyQueue, CircuitClosed, 0)
	for end := time.Now().Add(10 * time.Second); b.state() == CircuitOpen; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is never about to try")
		}
	}
	want(DependencyDatabase, CircuitHalfOpen, 1)
	if err := call(); errors.As(err, &refused) || calls != breakerFailures+1 {
		t.Errorf("the trial: %d calls, %v", calls, err)
	}
	want(DependencyDatabase, CircuitOpen, 2)
	away = false
	for end := time.Now().Add(10 * time.Second); call() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never tries again")
		}
	}
	if err := call(); err != nil || calls != breakerFailures+3 {
		t.Errorf("after the outage: %d calls, %v", calls, err)
	}
	want(DependencyDatabase, CircuitClosed, 2)
}

// Who stops waiting says nothing about the dependency; an answer says that it is there, even one that refuses.
func TestWhatCountsAsAnAnswer(t *testing.T) {
	left, leave := context.WithCancel(context.Background())
	leave()
	lost, lose := context.WithCancelCause(context.Background())
	lose(ErrLeaseLost)
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		status int
		err    error
		away   bool
	}{
		"fine":       {context.Background(), 200, nil, false},
		"overloaded": {context.Background(), 503, nil, false},
		"no server":  {context.Background(), 502, nil, true},
		"no answer":  {context.Background(), 0, net.ErrClosed, true},
		"left":       {left, 0, context.Canceled, false},
		"lease lost": {lost, 0, context.Canceled, false},
		"too late":   {late, 0, context.DeadlineExceeded, true},
	} {
		client := guardedClient{newBreaker(DependencyObjects), roundTrip{c.status, c.err}}
		for range breakerFailures {
			req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, "http://objects", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if !errors.Is(err, c.err) || err == nil && resp.StatusCode != c.status {
				t.Errorf("%s: %v, %v", name, resp, err)
			}
		}
		if got := client.state() == CircuitOpen; got != c.away {
			t.Errorf("%s: away %v", name, got)
		}
	}
}

// A trial without an outcome proves nothing: the circuit stays as it is, and the next call is the trial. So it is with a
// trial that panics, and with what began before the circuit opened and ends after.
func TestTrialWithoutAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(DependencyObjects)
		end := func(v verdict) func() (verdict, error) { return func() (verdict, error) { return v, nil } }
		early, err := b.take()
		if err != nil {
			t.Fatal(err)
		}
		for range breakerFailures {
			_ = b.call(end(failed))
		}
		b.give(early, answered)
		if b.state() != CircuitOpen {
			t.Fatalf("state %d after an answer to a call of before", b.state())
		}
		time.Sleep(breakerDelay + breakerJitter)
		if err := b.call(end(noVerdict)); err != nil || b.state() != CircuitHalfOpen {
			t.Errorf("a caller left: %v, state %d", err, b.state())
		}
		func() {
			defer func() { _ = recover() }()
			_ = b.call(func() (verdict, error) { panic("trial") })
		}()
		p, err := b.take()
		if err != nil || !p.trial || b.state() != CircuitHalfOpen {
			t.Fatalf("after a panic: %v, state %d", err, b.state())
		}
		if err := b.call(end(answered)); err == nil {
			t.Error("two trials at the same time")
		}
		b.give(p, failed)
		if b.state() != CircuitOpen || b.opens.Load() != 2 {
			t.Errorf("a trial failed: state %d, opened %d times", b.state(), b.opens.Load())
		}
		time.Sleep(breakerDelay + breakerJitter)
		if err := b.call(end(answered)); err != nil || b.state() != CircuitClosed {
			t.Errorf("an answer: %v, state %d", err, b.state())
		}
		for range breakerFailures - 1 {
			_ = b.call(end(failed))
			_ = b.call(end(noVerdict))
		}
		_ = b.call(end(answered))
		if _ = b.call(end(failed)); b.state() != CircuitClosed {
			t.Error("failures are counted that were not in a row")
		}
	})
}

// roundTrip gives one answer to every request.
type roundTrip struct {
	status int
	err    error
}

func (r roundTrip) Do(*http.Request) (*http.Response, error) {
	if r.err != nil {
		return nil, r.err
	}
	return &http.Response{StatusCode: r.status, Body: http.NoBody}, nil
}
