package circuit

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreaker_Outage(t *testing.T) { synctest.Test(t, breakInOutage) }

func breakInOutage(t *testing.T) {
	var circuits Group
	b := circuits.NewBreaker(Database)
	circuits.NewBreaker(Database) // closed: the worst is shown
	circuits.NewBreaker(Queue)
	want := func(dependency string, state State, opens int64) {
		t.Helper()
		if got := circuits.Of(dependency); got != (Status{state, opens}) {
			t.Errorf("%s: %+v, want state %d after %d", dependency, got, state, opens)
		}
	}
	want(Database, Closed, 0)
	away, calls := true, 0
	call := func() error {
		return b.Call(func() (Verdict, error) {
			calls++
			if away {
				return Failed, io.ErrUnexpectedEOF
			}
			return Answered, nil
		})
	}
	for range 50 {
		if err := call(); err == nil || calls > breakerFailures {
			t.Fatalf("call %d: %v", calls, err)
		}
	}
	err := call()
	var refused *OpenError
	if !errors.As(err, &refused) || refused.RetryableError() ||
		!strings.Contains(err.Error(), "database") {
		t.Errorf("refused with %v", err)
	}
	want(Database, Open, 1)
	want(Queue, Closed, 0)
	for end := time.Now().Add(10 * time.Second); b.state() == Open; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is never about to try")
		}
	}
	want(Database, HalfOpen, 1)
	if err := call(); errors.As(err, &refused) || calls != breakerFailures+1 {
		t.Errorf("the trial: %d calls, %v", calls, err)
	}
	want(Database, Open, 2)
	away = false
	for end := time.Now().Add(10 * time.Second); call() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never tries again")
		}
	}
	if err := call(); err != nil || calls != breakerFailures+3 {
		t.Errorf("after the outage: %d calls, %v", calls, err)
	}
	want(Database, Closed, 2)
}

// A trial without an outcome proves nothing: the circuit stays as it is, and the next call is the trial. So it is with a
// trial that panics, and with what began before the circuit opened and ends after.
func TestBreaker_TrialWithoutVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(Objects)
		end := func(v Verdict) func() (Verdict, error) { return func() (Verdict, error) { return v, nil } }
		early, err := b.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		for range breakerFailures {
			_ = b.Call(end(Failed))
		}
		b.Release(early, Answered)
		if b.state() != Open {
			t.Fatalf("state %d after an answer to a call of before", b.state())
		}
		time.Sleep(breakerDelay + breakerJitter)
		if err := b.Call(end(NoVerdict)); err != nil || b.state() != HalfOpen {
			t.Errorf("a caller left: %v, state %d", err, b.state())
		}
		func() {
			defer func() { _ = recover() }()
			_ = b.Call(func() (Verdict, error) { panic("trial") })
		}()
		p, err := b.Acquire()
		if err != nil || !p.trial || b.state() != HalfOpen {
			t.Fatalf("after a panic: %v, state %d", err, b.state())
		}
		if err := b.Call(end(Answered)); err == nil {
			t.Error("two trials at the same time")
		}
		b.Release(p, Failed)
		if b.state() != Open || b.opens.Load() != 2 {
			t.Errorf("a trial failed: state %d, opened %d times", b.state(), b.opens.Load())
		}
		time.Sleep(breakerDelay + breakerJitter)
		if err := b.Call(end(Answered)); err != nil || b.state() != Closed {
			t.Errorf("an answer: %v, state %d", err, b.state())
		}
		for range breakerFailures - 1 {
			_ = b.Call(end(Failed))
			_ = b.Call(end(NoVerdict))
		}
		_ = b.Call(end(Answered))
		if _ = b.Call(end(Failed)); b.state() != Closed {
			t.Error("failures are counted that were not in a row")
		}
	})
}
