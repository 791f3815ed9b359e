package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/internal/database"
)

// Accounts is the view of users, their access keys, rate limits and idempotency keys. It is safe for concurrent use.
type Accounts struct {
	db    *database.DB
	lease time.Duration // of a request that has claimed its key
}

// User is an owner of uploads.
type User struct {
	ID           int64
	Subject      string  // the "sub" of their tokens
	TrainingRate float32 // share of scored rows that may be kept for retraining; 0: not opted in
}

// EnsureUser returns the user of a token's subject, and creates it at the first request. A deleted user is
// [ErrAccountDeleted].
func (a *Accounts) EnsureUser(ctx context.Context, subject string) (User, error) {
	u := User{Subject: subject}
	var left bool
	err := a.db.Requests.QueryRow(ctx, `SELECT id, training_rate, deleted FROM ensure_user($1)`, subject).
		Scan(&u.ID, &u.TrainingRate, &left)
	if err == nil && left {
		err = ErrAccountDeleted
	}
	if err != nil {
		return User{}, fmt.Errorf("ensure user: %w", err)
	}
	return u, nil
}

// SetTrainingRate sets which share of a user's scored rows may be kept for retraining, 0 to 1.
func (a *Accounts) SetTrainingRate(ctx context.Context, userID int64, rate float32) error {
	err := a.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE users SET training_rate = $2 WHERE id = $1`, userID, rate)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set training rate: %w", err)
	}
	return nil
}
