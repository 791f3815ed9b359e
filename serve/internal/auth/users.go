package auth

import (
	"context"
	"sync"
	"time"

	"github.com/retainwise/millrace/store"
)

// UserCache remembers the users of subjects for a short while, so that few requests cost a query for it. An account
// that another process deletes is let in until then; the sweep removes what it does meanwhile. It is safe for
// concurrent use.
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

func NewUserCache(st *store.Accounts) *UserCache {
	return &UserCache{store: st, now: time.Now, known: map[string]knownUser{}}
}

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

func (c *UserCache) Forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, subject)
}
