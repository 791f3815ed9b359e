package store_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store"
)

// TestPoolUnderLoad has far more callers than connections: all are served, and all connections come back.
func TestPoolUnderLoad(t *testing.T) {
	b := newBench(t, store.Config{ConnsMax: 4})
	p := b.upload(1500)
	b.mustScore(b.claim("w"))
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range 10 {
				page, err := b.Predictions.Rows(t.Context(), b.user.ID, p.ID, store.RowQuery{Limit: 1000})
				if err != nil || len(page.Rows) != 1000 {
					t.Errorf("%d rows: %v", len(page.Rows), err)
				}
				if _, err := b.Predictions.CreateUpload(t.Context(), newUpload(b.user.ID, 10)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	state := b.PoolState()
	if state.Acquired != 0 || state.Max != 4 || state.Waits == 0 {
		t.Errorf("%+v", state)
	}
}

// A statement that waits for a lock ends, and gives its connection back.
func TestStatementsTimeOut(t *testing.T) {
	var seen []string
	b := newBench(t, store.Config{
		StatementTimeout: 200 * time.Millisecond,
		Trace:            func(sql string, _ []any) { seen = append(seen, strings.TrimSpace(sql)) },
	})
	p := b.upload(10)
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx()) }()
	if _, err := conn.Exec(t.Context(), `BEGIN; SELECT FROM predictions FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, p.ID); err == nil || !strings.Contains(err.Error(), "57014") {
		t.Errorf("waited for the lock: %v", err)
	}
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Predictions.Cancel(t.Context(), b.user.ID, p.ID); err != nil {
		t.Error(err)
	}
	if !slices.Contains(seen, "commit") || !slices.ContainsFunc(seen, func(sql string) bool {
		return strings.Contains(sql, "app.user_id") // in a batch
	}) {
		t.Errorf("traced %q", seen)
	}
}

// BenchmarkPool has 64 callers use pools of several sizes. docs/database.md shows what it found.
func BenchmarkPool(b *testing.B) {
	for _, conns := range []int32{1, 2, 4, 8, 16, 32} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			bb := newBench(b, store.Config{ConnsMax: conns})
			p := bb.upload(1500)
			bb.mustScore(bb.claim("w"))
			before := bb.PoolState()
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.ResetTimer()
			b.RunParallel(func(loop *testing.PB) {
				for loop.Next() {
					if _, err := bb.Predictions.Rows(ctx(), bb.user.ID, p.ID, store.RowQuery{Limit: 100}); err != nil {
						b.Error(err)
					}
				}
			})
			after := bb.PoolState()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
			b.ReportMetric((after.Waited-before.Waited).Seconds()*1e3/float64(b.N), "ms-waited/page")
			if after.Acquired != 0 {
				b.Errorf("%d connections are out", after.Acquired)
			}
		})
	}
}
