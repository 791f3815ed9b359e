package serve

import (
	"context"
	"errors"
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
			if a, _ := l.take(t.Context(), limitDefault, "u"); a.retry > 0 {
				t.Fatal("refused within the budget")
			}
		}
		a, _ := l.take(t.Context(), limitDefault, "u")
		if a.retry != 10*time.Second || a.remaining != 0 {
			t.Fatalf("retry after %v, %d left", a.retry, a.remaining)
		}
		time.Sleep(a.retry - time.Nanosecond)
		if a, _ := l.take(t.Context(), limitDefault, "u"); a.retry <= 0 {
			t.Error("allowed too early")
		}
		time.Sleep(time.Nanosecond)
		if a, _ := l.take(t.Context(), limitDefault, "u"); a.retry > 0 {
			t.Error("refused although told to come back now")
		}
		time.Sleep(time.Hour)
		if a, _ := l.take(t.Context(), limitDefault, "u"); a.remaining != 5 {
			t.Errorf("%d left of a whole budget", a.remaining)
		}
	})
}

func TestLimiterWithoutALimit(t *testing.T) {
	l := newLimiter(RateLimits{}, time.Now)
	if _, limited := l.take(t.Context(), limitDefault, "u"); limited {
		t.Error("limited")
	}
}

// TestLimiterIsBounded brings in more users than it remembers.
func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(RateLimits{Default: 1}, time.Now)
	const users = limitShards * limitEntriesMax * 2
	for i := range users {
		l.take(t.Context(), limitDefault, fmt.Sprint("user ", i))
	}
	total := 0
	for i := range l.shards {
		total += len(l.shards[i].whole)
	}
	if total > limitShards*limitEntriesMax {
		t.Errorf("%d users remembered", total)
	}
	if a, _ := l.take(t.Context(), limitDefault, fmt.Sprint("user ", users-1)); a.retry <= 0 {
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
	proxies, _ := ParseNetworks([]string{"10.0.0.0/8", "192.0.2.7", "2001:db8:ffff::/48"})
	for name, test := range map[string]struct {
		address string
		headers []string
		want    string
	}{
		"IPv4":                        {"198.51.100.3:5", nil, "ip 198.51.100.3"},
		"IPv4 in IPv6":                {"[::ffff:198.51.100.3]:5", nil, "ip 198.51.100.3"},
		"IPv6":                        {"[2001:db8:1:2:3:4:5:6]:7", nil, "ip 2001:db8:1:2::"},
		"nobody's word":               {"198.51.100.3:5", []string{"203.0.113.9"}, "ip 198.51.100.3"},
		"proxy without a word":        {"10.1.2.3:5", nil, "ip 10.1.2.3"},
		"proxy":                       {"10.1.2.3:5", []string{"203.0.113.9"}, "ip 203.0.113.9"},
		"single address as proxy":     {"192.0.2.7:5", []string{"203.0.113.9"}, "ip 203.0.113.9"},
		"what the caller says before": {"10.1.2.3:5", []string{"1.1.1.1, 2.2.2.2, 203.0.113.9"}, "ip 203.0.113.9"},
		"two proxies":                 {"10.1.2.3:5", []string{"1.1.1.1, 203.0.113.9, 10.9.9.9"}, "ip 203.0.113.9"},
		"two lines":                   {"10.1.2.3:5", []string{"1.1.1.1", "203.0.113.9 , 10.9.9.9"}, "ip 203.0.113.9"},
		"proxies alone":               {"10.1.2.3:5", []string{"10.7.7.7, 10.9.9.9"}, "ip 10.7.7.7"},
		"nonsense behind a proxy":     {"10.1.2.3:5", []string{"203.0.113.9, x, 10.9.9.9"}, "ip 10.9.9.9"},
		"nonsense":                    {"10.1.2.3:5", []string{"unknown"}, "ip 10.1.2.3"},
		"empty":                       {"10.1.2.3:5", []string{""}, "ip 10.1.2.3"},
		"IPv6 by a proxy":             {"[2001:db8:ffff::1]:7", []string{"2001:db8:1:2:3:4:5:6"}, "ip 2001:db8:1:2::"},
		"IPv6 with a port":            {"10.1.2.3:5", []string{"[2001:db8:1:2:3:4:5:6]:80"}, "ip 2001:db8:1:2::"},
		"IPv4 with a port":            {"10.1.2.3:5", []string{"203.0.113.9:80"}, "ip 203.0.113.9"},
		"IPv6 with a zone":            {"10.1.2.3:5", []string{"fe80::1%eth0"}, "ip fe80::"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, err := net.ResolveTCPAddr("tcp", test.address)
			if err != nil {
				t.Fatal(err)
			}
			var forwarded [][]byte
			for _, h := range test.headers {
				forwarded = append(forwarded, []byte(h))
			}
			if got := peer(addr, forwarded, proxies); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := peer(&net.UnixAddr{}, nil, proxies); got != "local" {
		t.Errorf("Unix socket: %q", got)
	}
	for _, wrong := range []string{"x", "10.0.0.0/33", "10.0.0.1/8/8"} {
		if _, err := ParseNetworks([]string{wrong}); err == nil {
			t.Errorf("%s is a network", wrong)
		}
	}
}

// TestLimiterWhileTheDatabaseIsAway counts alone, no more and no less.
func TestLimiterWhileTheDatabaseIsAway(t *testing.T) {
	l := newLimiter(RateLimits{Default: 3}, time.Now)
	l.spend = func(context.Context, store.Budget) (time.Duration, bool, error) { return 0, false, errors.New("away") }
	granted := 0
	for range 10 {
		if a, _ := l.take(t.Context(), limitDefault, "u"); a.retry == 0 {
			granted++
		}
	}
	if granted != 3 {
		t.Errorf("%d requests out of a budget of 3", granted)
	}
}

// TestFloodsAreRefusedAlone wants the database left in peace by a user whose budget is spent.
func TestFloodsAreRefusedAlone(t *testing.T) {
	l := newLimiter(RateLimits{Default: 3}, time.Now)
	asked := 0
	l.spend = func(context.Context, store.Budget) (time.Duration, bool, error) {
		asked++
		return time.Minute, false, nil // others have spent it
	}
	for range 1000 {
		if a, _ := l.take(t.Context(), limitDefault, "u"); a.retry <= 0 || a.remaining != 0 {
			t.Fatalf("granted: %+v", a)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
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
