package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Budget is a rate limit: one request every Step on average, with bursts of at most as many as fit into Window.
type Budget struct {
	ID           [16]byte // hash of its owner and kind
	Step, Window time.Duration
}

// Spend takes one request out of a budget that all processes share, by the generic cell rate algorithm and the clock of
// the database. whole is the time until the budget is full again; ok is false if the request must be throttled.
func (a *Accounts) Spend(ctx context.Context, b Budget) (whole time.Duration, ok bool, err error) {
	var left int64
	err = a.db.Requests.QueryRow(ctx, `
		INSERT INTO request_budgets AS b (budget, whole_at)
		VALUES ($1, clock_timestamp() + $2::bigint * interval '1 microsecond')
		ON CONFLICT (budget) DO UPDATE
		SET whole_at = greatest(b.whole_at + $2::bigint * interval '1 microsecond', excluded.whole_at)
		WHERE b.whole_at + $2::bigint * interval '1 microsecond'
		      <= clock_timestamp() + $3::bigint * interval '1 microsecond'
		RETURNING (1e6 * extract(epoch FROM whole_at - clock_timestamp()))::bigint`,
		b.ID[:], b.Step.Microseconds(), b.Window.Microseconds()).Scan(&left)
	if ok = err == nil; errors.Is(err, pgx.ErrNoRows) {
		err = a.db.Requests.QueryRow(ctx, `
			SELECT (1e6 * extract(epoch FROM whole_at - clock_timestamp()))::bigint FROM request_budgets WHERE budget = $1`,
			b.ID[:]).Scan(&left)
	}
	if errors.Is(err, pgx.ErrNoRows) { // swept in between, so it is whole
		return 0, true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("spend budget: %w", err)
	}
	return time.Duration(left) * time.Microsecond, ok, nil
}

// SweepBudgets deletes budgets that are full.
func (u *Upkeep) SweepBudgets(ctx context.Context) error {
	if _, err := u.db.Pool.Exec(ctx, `DELETE FROM request_budgets WHERE whole_at <= clock_timestamp()`); err != nil {
		return fmt.Errorf("sweep budgets: %w", err)
	}
	return nil
}
