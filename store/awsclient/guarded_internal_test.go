package awsclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/retainwise/millrace/store/circuit"
)

// A caller that gave up proves nothing about the dependency; an answer proves that it is there, even one that refuses.
func TestGuardedClient_Verdicts(t *testing.T) {
	left, leave := context.WithCancel(context.Background())
	leave()
	lost, lose := context.WithCancelCause(context.Background())
	lose(errors.New("lease lost"))
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		status int
		err    error
		open   bool
	}{
		"fine":       {context.Background(), 200, nil, false},
		"overloaded": {context.Background(), 503, nil, false},
		"no server":  {context.Background(), 502, nil, true},
		"no answer":  {context.Background(), 0, net.ErrClosed, true},
		"left":       {left, 0, context.Canceled, false},
		"lease lost": {lost, 0, context.Canceled, false},
		"too late":   {late, 0, context.DeadlineExceeded, true},
	} {
		var circuits circuit.Group
		calls := 0
		client := guardedClient{circuits.NewBreaker(circuit.Objects), roundTrip{c.status, c.err}}
		for circuits.Of(circuit.Objects).State == circuit.Closed && calls < 10 {
			calls++
			req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, "http://objects", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if !errors.Is(err, c.err) || err == nil && resp.StatusCode != c.status {
				t.Errorf("%s: %v, %v", name, resp, err)
			}
		}
		if got := circuits.Of(circuit.Objects).State == circuit.Open; got != c.open {
			t.Errorf("%s: open %v after %d calls", name, got, calls)
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
