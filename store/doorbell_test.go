package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
)

func wakes(t *testing.T, wake <-chan struct{}, within time.Duration) bool {
	t.Helper()
	select {
	case _, open := <-wake:
		if !open {
			t.Fatal("closed")
		}
		return true
	case <-time.After(within):
		return false
	}
}

func settle(t *testing.T, wake <-chan struct{}) {
	t.Helper()
	if !wakes(t, wake, time.Minute) {
		t.Fatal("no first wake")
	}
	for wakes(t, wake, 100*time.Millisecond) {
	}
}

func TestListen_WakesOnUpload(t *testing.T) {
	b := newBench(t, store.Config{PollInterval: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	wake := b.Ledger.Listen(ctx)
	settle(t, wake)
	for range 5 {
		b.upload(1)
	}
	if !wakes(t, wake, time.Minute) {
		t.Error("not woken")
	}
	for wakes(t, wake, 100*time.Millisecond) {
	}
	p := b.upload(1)
	settle(t, wake)
	for name, act := range map[string]func() error{
		"release": func() error { return b.Ledger.ReleasePart(ctx, b.claim("w")) },
		"cancel":  func() error { _, err := b.Predictions.Cancel(ctx, b.user.ID, p.ID); return err },
		"retry":   func() error { return b.Upkeep.Retry(ctx, p.ID, store.Model{}) },
		"sweep":   func() error { _, err := b.Outbox.Sweep(ctx, 0); return err },
	} {
		if name == "retry" {
			continue // after cancel, below
		}
		if err := act(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !wakes(t, wake, time.Minute) {
			t.Errorf("%s: not woken", name)
		}
	}
	cancel()
	for range wake {
	}
}

func TestListen_Reconnects(t *testing.T) {
	b := newBench(t, store.Config{PollInterval: time.Hour})
	wake := b.Ledger.Listen(t.Context())
	settle(t, wake)
	for range 2 {
		b.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`)
		settle(t, wake) // it looks once, as it may have missed something
		b.upload(1)
		if !wakes(t, wake, time.Minute) {
			t.Error("deaf after a reconnect")
		}
	}
}

func TestListen_PollInterval(t *testing.T) {
	b := newBench(t, store.Config{PollInterval: 50 * time.Millisecond})
	wake := b.Ledger.Listen(t.Context())
	for range 4 {
		if !wakes(t, wake, time.Minute) {
			t.Fatal("asleep")
		}
	}
}

// The part of a worker that died is taken up when its lease ends, and one that waits when its wait ends.
func TestListen_WakesWhenLeaseEnds(t *testing.T) {
	b := newBench(t, store.Config{PollInterval: time.Hour})
	b.upload(1)
	wake := b.Ledger.Listen(t.Context())
	settle(t, wake)
	c := b.claim("w")
	const wait = 3 * time.Second
	begin := time.Now()
	if err := b.Ledger.PostponePart(t.Context(), c, store.Postponement{Wait: wait, Reason: "away"}); err != nil {
		t.Fatal(err)
	}
	for { // the note, and a look a second behind it
		if !wakes(t, wake, time.Minute) {
			t.Fatal("no wake: the part is not claimed") // the poll interval is half a lease
		}
		again, err := b.Ledger.ClaimPart(t.Context(), "w")
		if err != nil {
			t.Fatal(err)
		}
		if again != nil {
			break
		}
	}
	if waited := time.Since(begin); waited < wait {
		t.Errorf("claimed after %v, before its time", waited)
	}
}

func TestListen_DatabaseDown(t *testing.T) {
	b := newBench(t, store.Config{PollInterval: 10 * time.Millisecond})
	b.exec(`SELECT 1`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Close()
	b.exec(`ALTER ROLE millrace CONNECTION LIMIT -1`)
	wake := b.Ledger.Listen(ctx)
	if !wakes(t, wake, time.Minute) {
		t.Error("asleep")
	}
}

func TestOutbox(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(1)
	b.upload(1)
	third := b.upload(1)
	two, err := b.Outbox.Claim(t.Context(), 2)
	if err != nil || len(two) != 2 {
		t.Fatal(two, err)
	}
	rest, err := b.Outbox.Claim(t.Context(), 10)
	if err != nil || len(rest) != 1 || rest[0].PredictionID != third.ID {
		t.Fatal(rest, err)
	}
	if err := b.Outbox.Release(t.Context(), []int64{two[0].ID}); err != nil {
		t.Fatal(err)
	}
	if err := b.Outbox.Discard(t.Context(), []int64{two[1].ID, rest[0].ID}); err != nil {
		t.Fatal(err)
	}
	again, err := b.Outbox.Claim(t.Context(), 10)
	if err != nil || len(again) != 1 || again[0] != two[0] {
		t.Fatal(again, err)
	}
	wantEqual(t, "outbox entries", ask[int](b, `SELECT count(*)::int FROM outbox`), 1)
}

func TestOutbox_Sweep(t *testing.T) {
	b := newBench(t, store.Config{})
	b.upload(1)
	b.upload(1)
	b.claim("w") // its outbox entry is no longer needed
	rung, err := b.Outbox.Sweep(t.Context(), time.Hour)
	if err != nil || rung != 0 {
		t.Fatal(rung, err)
	}
	wantEqual(t, "outbox entries", ask[int](b, `SELECT count(*)::int FROM outbox`), 1)
	if rung, err = b.Outbox.Sweep(t.Context(), 0); err != nil || rung != 1 {
		t.Fatal(rung, err)
	}
}

// TestWatch notifies those who watch a prediction of every change that they can see, and of no other prediction's.
func TestWatch(t *testing.T) {
	b := newBench(t, store.Config{})
	p, other := b.upload(1, 1), b.upload(1)
	changed, stop := b.Predictions.Watch(p.InternalID)
	defer stop()
	quiet, stopQuiet := b.Predictions.Watch(other.InternalID)
	defer stopQuiet()
	settle(t, changed) // what changed before the connection was there
	settle(t, quiet)
	claims := map[int64][]*store.Claim{}
	claim := func() error {
		c := b.claim("w")
		claims[c.PredictionID] = append(claims[c.PredictionID], c)
		return nil
	}
	for range 3 { // in whatever order
		_ = claim()
	}
	settle(t, changed)
	settle(t, quiet)
	mine := claims[p.InternalID]
	for _, step := range []struct {
		name string
		act  func() error
	}{
		{"release", func() error { return b.Ledger.ReleasePart(ctx(), mine[1]) }},
		{"claim", claim},
		{"commit", func() error { _, err := b.score(mine[0], nil); return err }},
		{"failure", func() error {
			return b.Ledger.FailPart(ctx(), claims[p.InternalID][2], store.Failure{Code: "ERR-1500", Stage: "score", Message: "x"})
		}},
		{"cancel", func() error { _, err := b.Predictions.Cancel(ctx(), b.user.ID, p.ID); return err }},
	} {
		if err := step.act(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if !wakes(t, changed, 10*time.Second) {
			t.Errorf("%s: no notification", step.name)
		}
		for wakes(t, changed, 50*time.Millisecond) {
		}
	}
	if wakes(t, quiet, 0) {
		t.Error("notified of another prediction")
	}
}

// TestWatch_OneConnection has many watchers listen on one connection, which ends with the store.
func TestWatch_OneConnection(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(1)
	var all []<-chan struct{}
	for range 50 {
		changed, stop := b.Predictions.Watch(p.InternalID)
		defer stop()
		all = append(all, changed)
	}
	for _, changed := range all {
		settle(t, changed)
	}
	listening := func() int {
		return ask[int](b, `SELECT count(*)::int FROM pg_stat_activity WHERE query = 'LISTEN millrace_changes'`)
	}
	wantEqual(t, "connections", listening(), 1)
	if _, err := b.Predictions.Cancel(ctx(), b.user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	for _, changed := range all {
		if !wakes(t, changed, 10*time.Second) {
			t.Fatal("not notified")
		}
	}
}
