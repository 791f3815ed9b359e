package store_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/storetest"
)

// A database that sends nothing, on connections that it has and on new ones, is an outage long before any caller's
// deadline, and is asked no more for a while.
func TestSilentDatabase(t *testing.T) {
	database := storetest.Postgres(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	line := storetest.NewLine(t, "unix", filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432"))
	u.Host, u.RawQuery = line.Address(), "sslmode=disable"
	circuits := &circuit.Group{}
	s := storetest.Open(t, store.Config{URL: u.String(), ConnsMax: 3, Circuits: circuits})
	ask := func() error {
		const deadline = 30 * time.Second
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
	speak := line.Hush(t)
	for range 10 {
		if err := ask(); !store.Unavailable(err) {
			t.Fatalf("silent: %v", err)
		}
	}
	if c := circuits.Of(circuit.Database); c.Opens == 0 {
		t.Errorf("10 calls, and the breaker never opened: %+v", c)
	}
	speak()
	end := time.Now().Add(20 * time.Second)
	for err := ask(); !errors.Is(err, store.ErrNotFound); err = ask() {
		if !store.Unavailable(err) || time.Now().After(end) {
			t.Fatalf("speaking again: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
