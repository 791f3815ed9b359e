// Package limit has the rate limits of users and client addresses, shared by all processes on a database. Which route has
// which limit is said in api/routes.go; limits of bytes, rows and concurrency belong to their handlers.
package limit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/retainwise/millrace/store"
)

// Rates are requests per user per minute, by class of route; 0 is unlimited. They hold for all processes on a database
// together. While it is unavailable each process limits on its own.
type Rates struct {
	Default, Upload, Score, Download int
}

// DefaultRates returns the published rates.
func DefaultRates() Rates {
	return Rates{Default: 100, Upload: 10, Score: 20, Download: 50}
}

// Class is a class of routes with a common budget; its text is the policy's name in the RateLimit headers.
type Class string

// The classes of routes.
const (
	None     Class = ""
	Default  Class = "default"
	Upload   Class = "upload"
	Score    Class = "score"
	Download Class = "download"
	Login    Class = "login" // invalid tokens, by client address
	Asset    Class = "asset" // files of pages, by client address
)

const (
	limitWindow     = time.Minute
	limitShards     = 16
	limitEntriesMax = 4096 // users remembered in a shard
)

// Limiter limits requests by the generic cell rate algorithm (GCRA): for each key it stores the time at which the budget is
// full again. The authoritative times are in the database, one small statement per request. Those that the limiter caches
// can only be too early, so a request that it refuses would be refused by the database as well: a flood does not reach the
// database. It is safe for concurrent use and its memory is bounded.
type Limiter struct {
	rates  map[Class]int
	now    func() time.Time
	Spend  func(context.Context, store.Budget) (untilFull time.Duration, ok bool, err error) // charges the shared budget in the database; nil disables sharing
	shards [limitShards]limitShard
}

// sharedBudgetTimeout is how long a request waits for the shared budget before the process limits on its own.
const sharedBudgetTimeout = time.Second

type limitKey struct {
	class Class
	user  string
}

type limitShard struct {
	mu      sync.Mutex
	resetAt map[limitKey]time.Time
}

// New returns a limiter of this process alone; set Spend to share its budgets.
func New(l Rates, now func() time.Time) *Limiter {
	lim := &Limiter{now: now, rates: map[Class]int{
		Default: l.Default, Upload: l.Upload, Score: l.Score, Download: l.Download,
		Login: loginsMax, Asset: assetsPerRequest * l.Default,
	}}
	for i := range lim.shards {
		lim.shards[i].resetAt = map[limitKey]time.Time{}
	}
	return lim
}

// Allowance is the state of a budget after a request.
type Allowance struct {
	class     Class
	Limit     int
	Remaining int
	Reset     time.Duration // until the budget is full again
	Retry     time.Duration // above zero if the request is refused: the Retry-After
}

// Take charges one request to a user's budget. ok is false for a class that is unlimited.
func (l *Limiter) Take(ctx context.Context, class Class, user string) (a Allowance, ok bool) {
	limit := l.rates[class]
	if limit <= 0 {
		return Allowance{}, false
	}
	key := limitKey{class, user}
	budget := store.Budget{ID: key.id(), Step: limitWindow / time.Duration(limit)}
	budget.Window = budget.Step * time.Duration(limit)
	s := &l.shards[shardOf(key)]
	if untilFull, refused := s.refusedLocally(key, budget, l.now()); refused {
		return l.allowance(class, budget, untilFull, false), true
	}
	if l.Spend != nil && class != Asset { // assets are in memory: the database would cost more than they do
		ctx, cancel := context.WithTimeout(ctx, sharedBudgetTimeout)
		defer cancel()
		if untilFull, granted, err := l.Spend(ctx, budget); err == nil {
			s.remember(key, l.now(), untilFull)
			return l.allowance(class, budget, untilFull, granted), true
		}
	}
	untilFull, granted := s.spendLocally(key, budget, l.now())
	return l.allowance(class, budget, untilFull, granted), true
}

// Spent returns the state of a budget that this process knows to be spent, without charging it or asking the database. ok is
// false if a request may be left.
func (l *Limiter) Spent(class Class, user string) (a Allowance, ok bool) {
	limit := l.rates[class]
	if limit <= 0 {
		return Allowance{}, false
	}
	key := limitKey{class, user}
	budget := store.Budget{Step: limitWindow / time.Duration(limit)}
	budget.Window = budget.Step * time.Duration(limit)
	untilFull, refused := l.shards[shardOf(key)].refusedLocally(key, budget, l.now())
	if !refused {
		return Allowance{}, false
	}
	return l.allowance(class, budget, untilFull, false), true
}

// allowance describes a budget that will be full after untilFull.
func (l *Limiter) allowance(class Class, b store.Budget, untilFull time.Duration, granted bool) Allowance {
	a := Allowance{class: class, Limit: l.rates[class], Reset: max(untilFull, 0)}
	if granted {
		a.Remaining = int((b.Window - a.Reset) / b.Step)
	} else {
		a.Retry = max(untilFull+b.Step-b.Window, time.Millisecond)
	}
	return a
}

// id is the key in the database: a hash of fixed size.
func (k limitKey) id() (id [16]byte) {
	sum := sha256.Sum256([]byte(string(k.class) + " " + k.user))
	copy(id[:], sum[:])
	return id
}

// refusedLocally reports whether the cached time leaves no request in the budget, and after how long it will be full.
func (s *limitShard) refusedLocally(key limitKey, b store.Budget, now time.Time) (untilFull time.Duration, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	untilFull = max(s.resetAt[key].Sub(now), 0)
	return untilFull, untilFull+b.Step > b.Window
}

// remember caches the time at which a budget will be full, unless the cached one is later.
func (s *limitShard) remember(key limitKey, now time.Time, untilFull time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := now.Add(untilFull); at.After(s.resetAt[key]) {
		s.evict(now)
		s.resetAt[key] = at
	}
}

// spendLocally charges a request to the cached time, without the database.
func (s *limitShard) spendLocally(key limitKey, b store.Budget, now time.Time) (untilFull time.Duration, granted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	untilFull = max(s.resetAt[key].Sub(now), 0)
	if untilFull+b.Step > b.Window {
		return untilFull, false
	}
	s.evict(now)
	s.resetAt[key] = now.Add(untilFull + b.Step)
	return untilFull + b.Step, true
}

// evict makes room in a full shard: of a few random entries it removes those whose budget is full, or else one of them. A
// bounded map and time matter more than the exact budget of one user among thousands in the same minute.
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

// shardOf returns the shard of a key by the FNV-1a hash of the user.
func shardOf(k limitKey) uint32 {
	h := uint32(2166136261)
	for i := range len(k.user) {
		h = (h ^ uint32(k.user[i])) * 16777619
	}
	return h % limitShards
}

// Policy returns the value of the RateLimit-Policy header.
func (a Allowance) Policy() string {
	return fmt.Sprintf(`"%s";q=%d;w=%d`, a.class, a.Limit, int(limitWindow/time.Second))
}

// State returns the value of the RateLimit header.
func (a Allowance) State() string {
	return fmt.Sprintf(`"%s";r=%d;t=%d`, a.class, a.Remaining, WholeSeconds(a.Reset))
}

// WholeSeconds rounds up to seconds, so that a client that waits for Retry-After is not refused again.
func WholeSeconds(d time.Duration) int {
	return int((d + time.Second - 1) / time.Second)
}

// assetsPerRequest is how many files of pages an address may fetch for each other request that it may send.
const assetsPerRequest = 10

// loginsMax is the number of invalid tokens per minute from one client address, so that guessing is slow. Valid tokens are
// not affected.
const loginsMax = 60
