package serve

import (
	"fmt"
	"sync"
	"time"
)

// RateLimits are requests a minute for each user, by kind of route. Zero is no limit. They hold for one process: with
// several, each counts for itself.
type RateLimits struct {
	Default, Upload, Score, Download int
}

// DefaultRateLimits are the published ones.
func DefaultRateLimits() RateLimits {
	return RateLimits{Default: 100, Upload: 10, Score: 20, Download: 50}
}

// limitClass names a budget; it is the policy's name in the RateLimit headers.
type limitClass string

const (
	limitNone     limitClass = ""
	limitDefault  limitClass = "default"
	limitUpload   limitClass = "upload"
	limitScore    limitClass = "score"
	limitDownload limitClass = "download"
	limitLogin    limitClass = "login" // wrong tokens, by address
)

const (
	limitWindow     = time.Minute
	limitShards     = 16
	limitEntriesMax = 4096 // users remembered in a shard
)

// limiter counts requests by the generic cell rate algorithm: each key owns the time at which its budget will be whole
// again. It is safe for concurrent use and its memory is bounded.
type limiter struct {
	limits map[limitClass]int
	now    func() time.Time
	shards [limitShards]limitShard
}

type limitKey struct {
	class limitClass
	user  string
}

type limitShard struct {
	mu    sync.Mutex
	whole map[limitKey]time.Time
}

func newLimiter(l RateLimits, now func() time.Time) *limiter {
	lim := &limiter{now: now, limits: map[limitClass]int{
		limitDefault: l.Default, limitUpload: l.Upload, limitScore: l.Score, limitDownload: l.Download,
		limitLogin: loginsMax,
	}}
	for i := range lim.shards {
		lim.shards[i].whole = map[limitKey]time.Time{}
	}
	return lim
}

// allowance is what is left of a budget.
type allowance struct {
	class     limitClass
	limit     int
	remaining int
	reset     time.Duration // until the budget is whole again
	retry     time.Duration // above zero: refused, try again after this
}

// take spends one request of a user's budget. ok is false for routes without one.
func (l *limiter) take(class limitClass, user string) (a allowance, ok bool) {
	limit := l.limits[class]
	if limit <= 0 {
		return allowance{}, false
	}
	step := limitWindow / time.Duration(limit)
	key := limitKey{class, user}
	now := l.now()
	s := &l.shards[shardOf(key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := s.whole[key]
	if whole.Before(now) {
		whole = now
	}
	next := whole.Add(step)
	budget := step * time.Duration(limit)
	if debt := next.Sub(now); debt > budget {
		return allowance{class: class, limit: limit, reset: whole.Sub(now), retry: debt - budget}, true
	}
	s.makeRoom(now)
	s.whole[key] = next
	left := budget - next.Sub(now)
	return allowance{class: class, limit: limit, remaining: int(left / step), reset: next.Sub(now)}, true
}

// makeRoom forgets a user whose budget is whole, of a few that it looks at, or else any one: a bounded map and a
// bounded time matter more than the exact budget of one user among thousands in the same minute.
func (s *limitShard) makeRoom(now time.Time) {
	const looks = 8
	looked := 0
	for k, t := range s.whole {
		if len(s.whole) < limitEntriesMax {
			return
		}
		if looked++; looked == looks || !t.After(now) {
			delete(s.whole, k)
		}
	}
}

// shardOf spreads keys by the FNV-1a hash of the user.
func shardOf(k limitKey) uint32 {
	h := uint32(2166136261)
	for i := range len(k.user) {
		h = (h ^ uint32(k.user[i])) * 16777619
	}
	return h % limitShards
}

// policy and state are the values of the RateLimit-Policy and RateLimit headers.
func (a allowance) policy() string {
	return fmt.Sprintf(`"%s";q=%d;w=%d`, a.class, a.limit, int(limitWindow/time.Second))
}

func (a allowance) state() string {
	return fmt.Sprintf(`"%s";r=%d;t=%d`, a.class, a.remaining, wholeSeconds(a.reset))
}

// wholeSeconds rounds up, so that a client that waits as told is not refused again.
func wholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}
