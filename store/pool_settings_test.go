package store_test

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

// TestB15PoolSettings wants the numbers that were promised of one pool, and of two together.
func TestB15PoolSettings(t *testing.T) {
	type numbers struct{ max, kept int32 }
	admin := storetest.Postgres(t)
	api, loader := storetest.Logins(admin)
	apart := func(most, kept int32) store.Config {
		return store.Config{URL: api, LoaderURL: loader, ConnsMax: most, ConnsKept: kept}
	}
	for name, test := range map[string]struct {
		config         store.Config
		requests, work numbers
	}{
		"one login":             {store.Config{URL: admin, ConnsKept: 10}, numbers{30, 10}, numbers{30, 10}},
		"two logins":            {apart(0, 10), numbers{15, 5}, numbers{15, 5}},
		"two logins, odd":       {apart(5, 3), numbers{3, 2}, numbers{2, 1}},
		"two share one":         {apart(1, 1), numbers{1, 1}, numbers{1, 0}},
		"more kept than may be": {store.Config{URL: admin, ConnsMax: 4, ConnsKept: 10}, numbers{4, 4}, numbers{4, 4}},
		"none kept":             {store.Config{URL: admin, ConnsKept: -1}, numbers{30, 0}, numbers{30, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			requests, work := store.PoolConfigs(storetest.Open(t, test.config))
			wantEqual(t, "pool of requests", numbers{requests.MaxConns, requests.MinConns}, test.requests)
			wantEqual(t, "pool of work", numbers{work.MaxConns, work.MinConns}, test.work)
			oldest := requests.MaxConnLifetime + requests.MaxConnLifetimeJitter + requests.HealthCheckPeriod
			if oldest > time.Hour || requests.MaxConnLifetime < 45*time.Minute || requests.MaxConnLifetimeJitter < time.Minute {
				t.Errorf("a connection may be %v old, and %v at least", oldest, requests.MaxConnLifetime)
			}
			wantEqual(t, "idle", requests.MaxConnIdleTime, time.Minute)
			ctx := requests.ConnConfig.Tracer.(interface {
				TraceAcquireStart(context.Context, *pgxpool.Pool, pgxpool.TraceAcquireStartData) context.Context
			}).TraceAcquireStart(t.Context(), nil, pgxpool.TraceAcquireStartData{})
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 30*time.Second {
				t.Errorf("waits until %v for a connection", deadline)
			}
		})
	}
}

// withSettings adds settings of pgx's pool to a URL.
func withSettings(t *testing.T, address string, settings map[string]string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, value := range settings {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// lockPredictions makes every call that reads predictions wait until it is released.
func (b bench) lockPredictions() (release func()) {
	b.Helper()
	conn, err := pgx.Connect(ctx(), b.url)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(ctx(), `BEGIN; LOCK TABLE predictions`); err != nil {
		b.Fatal(err)
	}
	return sync.OnceFunc(func() { _ = conn.Close(ctx()) })
}

// eventually waits for what takes the time it takes.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// TestB15ConnectionsBeyondTheKeptAreClosed has eight callers at once, and then none.
func TestB15ConnectionsBeyondTheKeptAreClosed(t *testing.T) {
	plain := storetest.Postgres(t)
	address := withSettings(t, plain, map[string]string{
		"pool_health_check_period": "20ms", "pool_max_conn_idle_time": "50ms",
	})
	s := storetest.Open(t, store.Config{URL: address, ConnsMax: 8, ConnsKept: 3})
	b := bench{TB: t, Store: s, url: plain}
	release := b.lockPredictions()
	defer release()
	var group sync.WaitGroup
	for range 12 {
		group.Go(func() {
			if _, err := b.Upkeep.QueueState(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all connections in use", func() bool { return b.PoolState().Acquired == 8 })
	release()
	group.Wait()
	eventually(t, "three idle ones left", func() bool { p := b.PoolState(); return p.Acquired == 0 && p.Idle == 3 })
	time.Sleep(200 * time.Millisecond)
	wantEqual(t, "idle for longer", b.PoolState().Idle, int32(3))
}

// TestB15WaitForAConnection has a caller wait for the only connection: for as long as ConnWait, or less if its own
// time is up. The caller that has the connection is not ended by the bound on its wait.
func TestB15WaitForAConnection(t *testing.T) {
	for name, test := range map[string]struct{ pool, own time.Duration }{
		"the pool's time": {50 * time.Millisecond, time.Hour},
		"its own":         {time.Hour, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, store.Config{ConnsMax: 1, ConnWait: test.pool})
			release := b.lockPredictions()
			defer release()
			first := make(chan error)
			go func() {
				_, err := b.Upkeep.QueueState(t.Context())
				first <- err
			}()
			eventually(t, "the connection is in use", func() bool { return b.PoolState().Acquired == 1 })
			patience, cancel := context.WithTimeout(t.Context(), test.own)
			defer cancel()
			_, err := b.Upkeep.QueueState(patience)
			if !errors.Is(err, context.DeadlineExceeded) || !store.Unavailable(err) {
				t.Errorf("got a connection, or another error: %v", err)
			}
			if ended := patience.Err() != nil; ended != (test.own < test.pool) {
				t.Errorf("the caller's own time is up: %v", ended)
			}
			release()
			if err := <-first; err != nil {
				t.Errorf("the caller before: %v", err)
			}
		})
	}
}

// TestB15ConnectionsAreRenewed lets every connection be too old when it is given back.
func TestB15ConnectionsAreRenewed(t *testing.T) {
	for lifetime, renewed := range map[string]bool{"1ms": true, "10m": false} {
		address := withSettings(t, storetest.Postgres(t), map[string]string{"pool_max_conn_lifetime": lifetime})
		s := storetest.Open(t, store.Config{URL: address, ConnsMax: 1})
		pids := map[uint32]bool{}
		for range 5 {
			pid, err := store.Backend(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			pids[pid] = true
			time.Sleep(5 * time.Millisecond)
		}
		if got := len(pids) > 1; got != renewed {
			t.Errorf("lifetime %s: %d connections", lifetime, len(pids))
		}
	}
}

// TestB15ConnectionsAreCheckedBeforeUse ends an idle connection at the server: the next caller does not meet it.
func TestB15ConnectionsAreCheckedBeforeUse(t *testing.T) {
	b := newBench(t, store.Config{ConnsMax: 1})
	pid, err := store.Backend(t.Context(), b.Store)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // idle for more than a second
	b.exec(`SELECT pg_terminate_backend($1)`, pid)
	again, err := store.Backend(t.Context(), b.Store)
	if err != nil || again == pid {
		t.Errorf("connection %d, then %d: %v", pid, again, err)
	}
}
