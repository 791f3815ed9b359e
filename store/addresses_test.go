package store_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/storetest"
)

// A URL may name several addresses, of which only one has a server, as after a failover. When that was away and is back,
// it is reached again although the others still are not.
func TestOpen_FailoverAddresses(t *testing.T) {
	p, through := storetest.NewProxy(t, storetest.Postgres(t))
	u, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nowhere.Close() // its address refuses
	u.Host, u.RawQuery = nowhere.Addr().String()+","+p.Address(), "sslmode=disable&target_session_attrs=read-write"
	circuits := &circuit.Group{}
	s := storetest.Open(t, store.Config{URL: u.String(), Circuits: circuits})
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := s.Predictions.Get(ctx, 1, store.NewID())
		return err
	}
	if err := ask(); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	p.Cut()
	for range 10 {
		if err := ask(); !store.Unavailable(err) {
			t.Fatalf("no server: %v", err)
		}
	}
	if c := circuits.Of(circuit.Database); c.State == circuit.Closed {
		t.Errorf("10 calls, and the circuit is closed: %+v", c)
	}
	if err := p.Restore(); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(20 * time.Second)
	for err := ask(); !errors.Is(err, store.ErrNotFound); err = ask() {
		if !store.Unavailable(err) || time.Now().After(end) {
			t.Fatalf("the server is back: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if c := circuits.Of(circuit.Database); c.State != circuit.Closed {
		t.Errorf("%+v", c)
	}
}

// What one process does alone needs no connection of the pool beside those that it uses.
func TestUpkeepWithOneConnection(t *testing.T) {
	b := newBench(t, store.Config{ConnsMax: 1})
	ran, err := b.Upkeep.WithLock(t.Context(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if other, err := b.Upkeep.WithLock(ctx, func(context.Context) error { return nil }); other || err != nil {
			t.Errorf("two at the same time: %v, %v", other, err)
		}
		_, err := b.Upkeep.Expire(ctx, time.Hour)
		return err
	})
	if !ran || err != nil {
		t.Errorf("ran %v: %v", ran, err)
	}
	again, err := b.Upkeep.WithLock(t.Context(), func(context.Context) error { return errors.New("kept") })
	if !again || err == nil {
		t.Errorf("the lock was kept: %v, %v", again, err)
	}
}
