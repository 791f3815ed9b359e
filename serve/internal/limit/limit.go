// Package limit counts requests against the budgets of users and addresses, for all processes on a database together.
package limit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/retainwise/millrace/store"
)

// Rates are requests a minute for each user, by kind of route. Zero is no limit. They hold for all processes on one
// database together. While it is unavailable each process counts for itself.
type Rates struct {
	Default, Upload, Score, Download int
}

// DefaultRates are the published ones.
func DefaultRates() Rates {
	return Rates{Default: 100, Upload: 10, Score: 20, Download: 50}
}

// Class names a budget; it is the policy's name in the RateLimit headers.
type Class string

const (
	None     Class = ""
	Default  Class = "default"
	Upload   Class = "upload"
	Score    Class = "score"
	Download Class = "download"
	Login    Class = "login" // wrong tokens, by address
)

const (
	limitWindow     = time.Minute
	limitShards     = 16
	limitEntriesMax = 4096 // users remembered in a shard
)

// Limiter counts requests by the generic cell rate algorithm: each key owns the time at which its budget will be whole
// again. The times that count are in the database, one small statement a request. What the limiter remembers of them can
// only be too early, so a request that it refuses would be refused there too: a flood costs the database nothing. It is
// safe for concurrent use and its memory is bounded.
type Limiter struct {
	rates  map[Class]int
	now    func() time.Time
	Spend  func(context.Context, store.Budget) (whole time.Duration, ok bool, err error) // nil: not shared
	shards [limitShards]limitShard
}

// sharedBudgetTimeout is how long a request waits for the shared budget before its process counts alone.
const sharedBudgetTimeout = time.Second

type limitKey struct {
	class Class
	user  string
}

type limitShard struct {
	mu      sync.Mutex
	resetAt map[limitKey]time.Time
}

// New makes a limiter of one process; spend makes it one of many.
func New(l Rates, now func() time.Time) *Limiter {
	lim := &Limiter{now: now, rates: map[Class]int{
		Default: l.Default, Upload: l.Upload, Score: l.Score, Download: l.Download,
		Login: loginsMax,
	}}
	for i := range lim.shards {
		lim.shards[i].resetAt = map[limitKey]time.Time{}
	}
	return lim
}

// Allowance is what is left of a budget.
type Allowance struct {
	class     Class
	Limit     int
	Remaining int
	Reset     time.Duration // until the budget is whole again
	Retry     time.Duration // above zero: refused, try again after this
}

// Take spends one request of a user's budget. ok is false for routes without one.
func (l *Limiter) Take(ctx context.Context, class Class, user string) (a Allowance, ok bool) {
	limit := l.rates[class]
	if limit <= 0 {
		return Allowance{}, false
	}
	key := limitKey{class, user}
	budget := store.Budget{ID: key.id(), Step: limitWindow / time.Duration(limit)}
	budget.Window = budget.Step * time.Duration(limit)
	s := &l.shards[shardOf(key)]
	if whole, refused := s.refusedLocally(key, budget, l.now()); refused {
		return l.allowance(class, budget, whole, false), true
	}
	if l.Spend != nil {
		ctx, cancel := context.WithTimeout(ctx, sharedBudgetTimeout)
		defer cancel()
		if whole, granted, err := l.Spend(ctx, budget); err == nil {
			s.remember(key, l.now(), whole)
			return l.allowance(class, budget, whole, granted), true
		}
	}
	whole, granted := s.spendLocally(key, budget, l.now())
	return l.allowance(class, budget, whole, granted), true
}

// allowance describes a budget that will be whole after some time; the request was granted or not.
func (l *Limiter) allowance(class Class, b store.Budget, whole time.Duration, granted bool) Allowance {
	a := Allowance{class: class, Limit: l.rates[class], Reset: max(whole, 0)}
	if granted {
		a.Remaining = int((b.Window - a.Reset) / b.Step)
	} else {
		a.Retry = max(whole+b.Step-b.Window, time.Millisecond)
	}
	return a
}

// id is the key as the database knows it.
func (k limitKey) id() (id [16]byte) {
	sum := sha256.Sum256([]byte(string(k.class) + " " + k.user))
	copy(id[:], sum[:])
	return id
}

// refusedLocally says whether what is remembered of a budget leaves no room for a request, and when it will be whole.
func (s *limitShard) refusedLocally(key limitKey, b store.Budget, now time.Time) (whole time.Duration, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole = max(s.resetAt[key].Sub(now), 0)
	return whole, whole+b.Step > b.Window
}

// remember keeps the later of two times at which a budget will be whole.
func (s *limitShard) remember(key limitKey, now time.Time, whole time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := now.Add(whole); at.After(s.resetAt[key]) {
		s.evict(now)
		s.resetAt[key] = at
	}
}

// spendLocally takes a request out of what is remembered alone.
func (s *limitShard) spendLocally(key limitKey, b store.Budget, now time.Time) (whole time.Duration, granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole = max(s.resetAt[key].Sub(now), 0)
	if whole+b.Step > b.Window {
		return whole, false
	}
	s.evict(now)
	s.resetAt[key] = now.Add(whole + b.Step)
	return whole + b.Step, true
}

// evict forgets a user whose budget is whole, of a few that it looks at, or else any one: a bounded map and a
// bounded time matter more than the exact budget of one user among thousands in the same minute.
func (s *limitShard) evict(now time.Time) {
	const looks = 8
	looked := 0
	for k, t := range s.resetAt {
		if len(s.resetAt) < limitEntriesMax {
			return
		}
		if looked++; looked == looks || !t.After(now) {
			delete(s.resetAt, k)
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

// Policy and state are the values of the RateLimit-Policy and RateLimit headers.
func (a Allowance) Policy() string {
	return fmt.Sprintf(`"%s";q=%d;w=%d`, a.class, a.Limit, int(limitWindow/time.Second))
}

func (a Allowance) State() string {
	return fmt.Sprintf(`"%s";r=%d;t=%d`, a.class, a.Remaining, WholeSeconds(a.Reset))
}

// WholeSeconds rounds up, so that a client that waits for Retry-After is not refused again.
func WholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

// loginsMax bounds wrong tokens a minute from one address, so that guessing is slow; right ones are not touched by it.
const loginsMax = 60
