package bench

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/storetest"
)

// countdown is a context that ends at the n-th call of Err or Done; calls may be concurrent.
type countdown struct {
	context.Context
	left   atomic.Int64
	cancel context.CancelCauseFunc
}

var errSpent = errors.New("spent")

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		c.cancel(errSpent)
	}
	return c.Context.Err()
}

// Wherever a measurement is ended it says so, and leaves no schema behind.
func TestDatabaseSuitesStopWithContext(t *testing.T) {
	o := Options{Quick: true, DatabaseURL: storetest.EmptyPostgres(t)}
	type suite = func(context.Context, Options, *Report) error
	for name, run := range map[string]suite{"copy": runCopy, "queries": runQueries, "indexes": runIndexes} {
		ended := false
		for left := int64(0); !ended && left < 4000; left += 1 + left/3 {
			ctx, cancel := context.WithCancelCause(t.Context())
			counted := &countdown{Context: ctx, cancel: cancel}
			counted.left.Store(left)
			err := run(counted, o, new(Report))
			if ended = ctx.Err() == nil; ended != (err == nil) {
				t.Fatalf("%s, ended after %d: %v", name, left, err)
			}
			cancel(nil)
			if schemas := schemasOf(t, o.DatabaseURL); schemas != 0 {
				t.Fatalf("%s, ended after %d, leaves its schema", name, left)
			}
		}
		if !ended {
			t.Errorf("%s never came to its end", name)
		}
	}
}

func schemasOf(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_namespace WHERE nspname = $1`, benchSchema).
		Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
