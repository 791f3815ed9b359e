package serve

import (
	"context"
	"sync"

	"github.com/retainwise/millrace/store"
)

// userCache remembers the users of subjects, which never change their id, so that a request costs no query for it. It
// is safe for concurrent use.
type userCache struct {
	store *store.Store
	mu    sync.Mutex
	known map[string]store.User
}

const usersKnownMax = 10_000

func newUserCache(st *store.Store) *userCache {
	return &userCache{store: st, known: map[string]store.User{}}
}

func (c *userCache) user(ctx context.Context, subject string) (store.User, error) {
	c.mu.Lock()
	u, ok := c.known[subject]
	c.mu.Unlock()
	if ok {
		return u, nil
	}
	u, err := c.store.EnsureUser(ctx, subject)
	if err != nil {
		return store.User{}, err
	}
	c.remember(subject, u)
	return u, nil
}

func (c *userCache) remember(subject string, u store.User) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.known {
		if len(c.known) < usersKnownMax {
			break
		}
		delete(c.known, other)
	}
	c.known[subject] = u
}
