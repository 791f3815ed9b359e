package limit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/store"
)

func TestLimiter_RefillsEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Rates{Default: 6}, time.Now)
		for range 6 {
			if a, _ := l.Take(t.Context(), Default, "u"); a.Retry > 0 {
				t.Fatal("refused within the budget")
			}
		}
		a, _ := l.Take(t.Context(), Default, "u")
		if a.Retry != 10*time.Second || a.Remaining != 0 {
			t.Fatalf("retry after %v, %d left", a.Retry, a.Remaining)
		}
		time.Sleep(a.Retry - time.Nanosecond)
		if a, _ := l.Take(t.Context(), Default, "u"); a.Retry <= 0 {
			t.Error("allowed too early")
		}
		time.Sleep(time.Nanosecond)
		if a, _ := l.Take(t.Context(), Default, "u"); a.Retry > 0 {
			t.Error("refused although Retry-After was over")
		}
		time.Sleep(time.Hour)
		if a, _ := l.Take(t.Context(), Default, "u"); a.Remaining != 5 {
			t.Errorf("%d left of a whole budget", a.Remaining)
		}
	})
}

func TestLimiter_Unlimited(t *testing.T) {
	l := New(Rates{}, time.Now)
	if _, limited := l.Take(t.Context(), Default, "u"); limited {
		t.Error("limited")
	}
}

// TestLimiter_BoundedMemory brings in more users than it remembers.
func TestLimiter_BoundedMemory(t *testing.T) {
	l := New(Rates{Default: 1}, time.Now)
	const users = limitShards * limitEntriesMax * 2
	for i := range users {
		l.Take(t.Context(), Default, fmt.Sprint("user ", i))
	}
	total := 0
	for i := range l.shards {
		total += len(l.shards[i].resetAt)
	}
	if total > limitShards*limitEntriesMax {
		t.Errorf("%d users remembered", total)
	}
	if a, _ := l.Take(t.Context(), Default, fmt.Sprint("user ", users-1)); a.Retry <= 0 {
		t.Error("the latest user was forgotten")
	}
}

func TestLimiter_EvictsFullBudgetsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limitShard{resetAt: map[limitKey]time.Time{}}
		busy := limitKey{Default, "busy"}
		s.resetAt[busy] = time.Now().Add(time.Minute)
		for i := range limitEntriesMax - 1 {
			s.resetAt[limitKey{Default, fmt.Sprint(i)}] = time.Now()
		}
		s.evict(time.Now())
		if _, ok := s.resetAt[busy]; !ok || len(s.resetAt) != limitEntriesMax-1 {
			t.Errorf("%d remembered, the busy one: %v", len(s.resetAt), ok)
		}
	})
}

// TestLimiter_DatabaseUnavailable counts alone, no more and no less.
func TestLimiter_DatabaseUnavailable(t *testing.T) {
	l := New(Rates{Default: 3}, time.Now)
	l.Spend = func(context.Context, store.Budget) (time.Duration, bool, error) {
		return 0, false, errors.New("unavailable")
	}
	granted := 0
	for range 10 {
		if a, _ := l.Take(t.Context(), Default, "u"); a.Retry == 0 {
			granted++
		}
	}
	if granted != 3 {
		t.Errorf("%d requests out of a budget of 3", granted)
	}
}

// TestLimiter_FloodDoesNotReachDatabase expects the database left in peace by a user whose budget is spent.
func TestLimiter_FloodDoesNotReachDatabase(t *testing.T) {
	l := New(Rates{Default: 3}, time.Now)
	asked := 0
	l.Spend = func(context.Context, store.Budget) (time.Duration, bool, error) {
		asked++
		return time.Minute, false, nil // others have spent it
	}
	for range 1000 {
		if a, _ := l.Take(t.Context(), Default, "u"); a.Retry <= 0 || a.Remaining != 0 {
			t.Fatalf("granted: %+v", a)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
