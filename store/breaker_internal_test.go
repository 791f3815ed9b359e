package store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
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
		return b.call(func() (bool, error) {
			calls++
			if away {
				return false, io.ErrUnexpectedEOF
			}
			return true, nil
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
		if got := client.circuit.IsOpen(); got != c.away {
			t.Errorf("%s: away %v", name, got)
		}
	}
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
