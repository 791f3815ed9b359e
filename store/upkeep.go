package store

import (
	"context"
	"fmt"
	"time"

	"github.com/retainwise/millrace/store/internal/database"
)

// Upkeep is the view for maintenance: deletions, retention, sweeps, checks, dead letters, and operators' queries. It sees
// the rows of all users. It is safe for concurrent use.
type Upkeep struct {
	db          *database.DB
	predictions *Predictions
}

// WithLock runs f under the upkeep lock, and reports whether it ran: it does not while another process holds the lock.
// The advisory lock belongs to a connection taken out of the pool, so that f cannot wait for it; closing it unlocks.
func (u *Upkeep) WithLock(ctx context.Context, f func(context.Context) error) (ran bool, err error) {
	pooled, err := u.db.Pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("upkeep: %w", database.HideURL(err))
	}
	conn := pooled.Hijack()
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = conn.Close(after)
	}()
	err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('millrace upkeep'))`).Scan(&ran)
	if err == nil && ran {
		err = f(ctx)
	}
	if err != nil {
		return ran, fmt.Errorf("upkeep: %w", err)
	}
	return ran, nil
}
