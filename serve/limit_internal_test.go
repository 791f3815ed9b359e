package serve

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/retainwise/millrace/store"
)

func TestLimiterRefillsEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(RateLimits{Default: 6}, time.Now)
		for range 6 {
			if a, _ := l.take(limitDefault, "u"); a.retry > 0 {
				t.Fatal("refused within the budget")
			}
		}
		a, _ := l.take(limitDefault, "u")
		if a.retry != 10*time.Second || a.remaining != 0 {
			t.Fatalf("retry after %v, %d left", a.retry, a.remaining)
		}
		time.Sleep(a.retry - time.Nanosecond)
		if a, _ := l.take(limitDefault, "u"); a.retry <= 0 {
			t.Error("allowed too early")
		}
		time.Sleep(time.Nanosecond)
		if a, _ := l.take(limitDefault, "u"); a.retry > 0 {
			t.Error("refused although told to come back now")
		}
		time.Sleep(time.Hour)
		if a, _ := l.take(limitDefault, "u"); a.remaining != 5 {
			t.Errorf("%d left of a whole budget", a.remaining)
		}
	})
}

func TestLimiterWithoutALimit(t *testing.T) {
	l := newLimiter(RateLimits{}, time.Now)
	if _, limited := l.take(limitDefault, "u"); limited {
		t.Error("limited")
	}
}

// TestLimiterIsBounded brings in more users than it remembers.
func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(RateLimits{Default: 1}, time.Now)
	const users = limitShards * limitEntriesMax * 2
	for i := range users {
		l.take(limitDefault, fmt.Sprint("user ", i))
	}
	total := 0
	for i := range l.shards {
		total += len(l.shards[i].whole)
	}
	if total > limitShards*limitEntriesMax {
		t.Errorf("%d users remembered", total)
	}
	if a, _ := l.take(limitDefault, fmt.Sprint("user ", users-1)); a.retry <= 0 {
		t.Error("the latest user was forgotten")
	}
}

func TestLimiterForgetsWholeBudgetsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := limitShard{whole: map[limitKey]time.Time{}}
		busy := limitKey{limitDefault, "busy"}
		s.whole[busy] = time.Now().Add(time.Minute)
		for i := range limitEntriesMax - 1 {
			s.whole[limitKey{limitDefault, fmt.Sprint(i)}] = time.Now()
		}
		s.makeRoom(time.Now())
		if _, ok := s.whole[busy]; !ok || len(s.whole) != limitEntriesMax-1 {
			t.Errorf("%d remembered, the busy one: %v", len(s.whole), ok)
		}
	})
}

func TestPeer(t *testing.T) {
	for address, want := range map[string]string{
		"10.1.2.3:5": "ip 10.1.2.3", "[::ffff:10.1.2.3]:5": "ip 10.1.2.3",
		"[2001:db8:1:2:3:4:5:6]:7": "ip 2001:db8:1:2::",
	} {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := peer(addr); got != want {
			t.Errorf("%s: %q", address, got)
		}
	}
	if got := peer(&net.UnixAddr{}); got != "local" {
		t.Errorf("Unix socket: %q", got)
	}
}

func TestUserCacheIsBounded(t *testing.T) {
	c := newUserCache(nil)
	for i := range usersKnownMax + 5 {
		c.remember(fmt.Sprint(i), store.User{ID: int64(i)})
	}
	if n := len(c.known); n != usersKnownMax {
		t.Errorf("%d users remembered", n)
	}
}
