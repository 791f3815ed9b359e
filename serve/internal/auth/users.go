package auth

import (
	"context"
	"sync"
	"time"

	"github.com/retainwise/millrace/store"
)

// UserCache caches the users of subjects for ten seconds, so that few requests need a query for it. An account that another
// process deletes is accepted until its entry expires; the sweep deletes what it creates in between. It is safe for
// concurrent use, and its size is bounded.
type UserCache struct {
	store *store.Accounts
	now   func() time.Time
	mu    sync.Mutex
	known map[string]knownUser
}

type knownUser struct {
	store.User
	until time.Time
}

const (
	usersKnownMax = 10_000
	usersKnownFor = 10 * time.Second
)

// NewUserCache returns an empty cache.
func NewUserCache(st *store.Accounts) *UserCache {
	return &UserCache{store: st, now: time.Now, known: map[string]knownUser{}}
}

// User returns the user of a subject, and creates it in the database if it is new.
func (c *UserCache) User(ctx context.Context, subject string) (store.User, error) {
	c.mu.Lock()
	u, ok := c.known[subject]
	c.mu.Unlock()
	if ok && c.now().Before(u.until) {
		return u.User, nil
	}
	fresh, err := c.store.EnsureUser(ctx, subject)
	if err != nil {
		return store.User{}, err
	}
	c.remember(subject, fresh)
	return fresh, nil
}

func (c *UserCache) remember(subject string, u store.User) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.known {
		if len(c.known) < usersKnownMax {
			break
		}
		delete(c.known, other)
	}
	c.known[subject] = knownUser{u, c.now().Add(usersKnownFor)}
}

// Forget removes a subject from the cache.
func (c *UserCache) Forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, subject)
}
