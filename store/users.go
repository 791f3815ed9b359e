package store

import (
	"context"
	"errors"
	"fmt"
)

// User is someone who owns uploads.
type User struct {
	ID           int64
	Subject      string  // the "sub" of their tokens
	TrainingRate float32 // share of scored rows that may be kept for retraining; 0: not opted in
}

// EnsureUser answers with the user of a token's subject, who is added when seen for the first time. One who has left is
// [ErrAccountDeleted].
func (s *Store) EnsureUser(ctx context.Context, subject string) (User, error) {
	u, err := s.user(ctx, `
		SELECT id, subject, training_rate, deleted_at IS NOT NULL FROM users WHERE subject = $1`, subject)
	if errors.Is(err, ErrNotFound) {
		u, err = s.user(ctx, `
			INSERT INTO users (subject) VALUES ($1)
			ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
			RETURNING id, subject, training_rate, deleted_at IS NOT NULL`, subject)
	}
	if err != nil {
		return User{}, fmt.Errorf("ensure user: %w", err)
	}
	return u, nil
}

// SetTrainingRate sets which share of a user's scored rows may be kept for retraining, 0 to 1.
func (s *Store) SetTrainingRate(ctx context.Context, userID int64, rate float32) error {
	tag, err := s.pool.Exec(ctx, `UPDATE users SET training_rate = $2 WHERE id = $1`, userID, rate)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("set training rate: %w", err)
	}
	return nil
}

func (s *Store) user(ctx context.Context, sql string, arg any) (u User, err error) {
	var left bool
	err = s.pool.QueryRow(ctx, sql, arg).Scan(&u.ID, &u.Subject, &u.TrainingRate, &left)
	if err == nil && left {
		return User{}, ErrAccountDeleted
	}
	return u, notFound(err)
}
