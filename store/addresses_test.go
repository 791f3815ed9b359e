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
	end := time.Now().Add(time.Minute)
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

// Where every server that can be reached is read-only, one is used all the same: requests that only read are answered.
func TestOpen_OnlyReadOnlyHosts(t *testing.T) {
	direct := storetest.Postgres(t)
	first, through := storetest.NewProxy(t, direct)
	second, _ := storetest.NewProxy(t, direct)
	u, err := url.Parse(through)
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]func(){"both are up": func() {}, "the second is down": second.Cut} {
		for _, attributes := range []string{"", "&target_session_attrs=any"} {
			setReadOnly(t, direct, "on")
			before()
			u.Host, u.RawQuery = first.Address()+","+second.Address(), "sslmode=disable"+attributes
			s, err := store.Open(t.Context(), store.Config{URL: u.String(), ConnsMax: 3})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := s.Ready(t.Context()); store.FaultOf(err) != store.FaultOutage {
				t.Errorf("%s: ready: %v", name, err)
			}
			setReadOnly(t, direct, "off")
			wantWriteSoon(t, 2, func() error { return s.Ready(t.Context()) })
			s.Close()
			if err := second.Restore(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What one process does alone needs no connection of the pool beside those that it uses.
func TestUpkeepWithOneConnection(t *testing.T) {
	b := newBench(t, store.Config{ConnsMax: 1})
	ran, err := b.Upkeep.WithLock(t.Context(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
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
