package store_test

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

func budget(n uint64) store.Budget {
	b := store.Budget{Step: 12 * time.Second, Window: time.Minute}
	binary.BigEndian.PutUint64(b.ID[:], n)
	return b
}

func TestSpend(t *testing.T) {
	b := newBench(t, store.Config{})
	for i := range 5 {
		whole, ok, err := b.Accounts.Spend(t.Context(), budget(1))
		want := time.Duration(i+1) * 12 * time.Second
		if err != nil || !ok || whole > want || whole < want-5*time.Second {
			t.Fatalf("request %d: %v, %v, %v", i, whole, ok, err)
		}
	}
	whole, ok, err := b.Accounts.Spend(t.Context(), budget(1))
	if err != nil || ok || whole > time.Minute || whole < 50*time.Second {
		t.Errorf("too many: %v, %v, %v", whole, ok, err)
	}
	if _, ok, err := b.Accounts.Spend(t.Context(), budget(2)); err != nil || !ok {
		t.Errorf("another budget: %v, %v", ok, err)
	}
	b.exec(`UPDATE request_budgets SET whole_at = whole_at - interval '13 seconds'`)
	for _, want := range []bool{true, false} {
		if _, ok, err := b.Accounts.Spend(t.Context(), budget(1)); err != nil || ok != want {
			t.Errorf("after a step: %v, want %v, %v", ok, want, err)
		}
	}
	b.exec(`UPDATE request_budgets SET whole_at = whole_at - interval '1 hour'`)
	if whole, ok, err := b.Accounts.Spend(t.Context(), budget(1)); err != nil || !ok || whole > 12*time.Second {
		t.Errorf("a budget that was whole for long: %v, %v, %v", whole, ok, err)
	}
	b.exec(`UPDATE request_budgets SET whole_at = whole_at - interval '1 hour'`)
	if err := b.Upkeep.SweepBudgets(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "budgets", ask[int](b, `SELECT count(*)::int FROM request_budgets`), 0)
}

// TestSpend_Concurrently spends one budget over two pools at once: not one request more than it allows.
func TestSpend_Concurrently(t *testing.T) {
	b := newBench(t, store.Config{})
	other := storetest.Open(t, store.Config{URL: b.url})
	var granted atomic.Int64
	var group sync.WaitGroup
	for i := range 40 {
		s := []*store.Store{b.Store, other}[i%2]
		group.Go(func() {
			_, ok, err := s.Accounts.Spend(ctx(), budget(1))
			if err != nil {
				t.Error(err)
			}
			if ok {
				granted.Add(1)
			}
		})
	}
	group.Wait()
	if n := granted.Load(); n != 5 {
		t.Errorf("%d requests out of a budget of 5", n)
	}
}

// BenchmarkSpend is what a limit shared by all processes costs each request: many users, each with a budget.
func BenchmarkSpend(b *testing.B) {
	bench := newBench(b, store.Config{})
	var next atomic.Uint64
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := bench.Accounts.Spend(ctx(), budget(next.Add(1)%600)); err != nil {
				b.Error(err)
			}
		}
	})
}
