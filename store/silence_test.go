package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/storetest"
)

// A database that sends nothing, on connections that it has and on new ones, is an outage long before any caller's
// deadline, and is asked no more for a while.
func TestSilentDatabase(t *testing.T) {
	toDatabase, through := storetest.NewProxy(t, storetest.Postgres(t))
	circuits := &circuit.Group{}
	s := storetest.Open(t, store.Config{URL: through, ConnsMax: 3, Circuits: circuits})
	ask := func() error {
		const deadline = time.Minute
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		begin := time.Now()
		_, err := s.Predictions.Get(ctx, 1, store.NewID())
		if took := time.Since(begin); took > deadline/2 {
			t.Errorf("an answer after %v: %v", took, err)
		}
		return err
	}
	if err := ask(); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // the connection is idle
	toDatabase.Stall()
	for range 10 {
		if err := ask(); !store.Unavailable(err) {
			t.Fatalf("stalled: %v", err)
		}
	}
	if c := circuits.Of(circuit.Database); c.Opens == 0 {
		t.Errorf("10 calls, and the breaker never opened: %+v", c)
	}
	if err := toDatabase.Restore(); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(time.Minute)
	for err := ask(); !errors.Is(err, store.ErrNotFound); err = ask() {
		if !store.Unavailable(err) || time.Now().After(end) {
			t.Fatalf("restored: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
