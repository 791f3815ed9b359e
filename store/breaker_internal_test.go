package store

import (
	"errors"
	"io"
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
