package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/internal/database"
)

// Announcements is the view of webhook calls that are still to be made. It is safe for concurrent use.
type Announcements struct{ db *database.DB }

// Announcement is the end of a prediction that a webhook is to be called for.
type Announcement struct {
	ID               int64
	PublicID         uuid.UUID // the same at every attempt
	Prediction       uuid.UUID
	Status           Status
	Scored, Rejected int64
	EndedAt          time.Time
	Attempt          int
}

// Enable makes every end of a prediction an announcement from now on. Doing it again changes nothing.
func (a *Announcements) Enable(ctx context.Context) error {
	if _, err := a.db.Pool.Exec(ctx, `INSERT INTO webhook_switch VALUES (true) ON CONFLICT DO NOTHING`); err != nil {
		return fmt.Errorf("enable announcements: %w", err)
	}
	return nil
}

// Claim takes at most limit announcements that are due, for a minute. Those that are neither delivered nor
// failed by then are given out again.
func (a *Announcements) Claim(ctx context.Context, limit int) ([]Announcement, error) {
	rows, err := a.db.Pool.Query(ctx, `
		UPDATE webhook_events e SET next_at = clock_timestamp() + interval '1 minute', attempts = attempts + 1
		FROM predictions d
		WHERE d.id = e.prediction_id
		  AND e.id IN (SELECT id FROM webhook_events WHERE NOT dead AND next_at <= statement_timestamp()
		               ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING e.id, e.public_id, d.public_id, e.status, d.rows_scored, d.rows_rejected, e.created_at, e.attempts`,
		limit)
	if err != nil {
		return nil, fmt.Errorf("claim announcements: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Announcement])
	if err != nil {
		return nil, fmt.Errorf("claim announcements: %w", err)
	}
	return list, nil
}

// Drop deletes an announcement that was delivered.
func (a *Announcements) Drop(ctx context.Context, id int64) error {
	if _, err := a.db.Pool.Exec(ctx, `DELETE FROM webhook_events WHERE id = $1`, id); err != nil {
		return fmt.Errorf("drop announcement: %w", err)
	}
	return nil
}

// Postpone makes an announcement due again after wait, or with dead a dead letter, which is kept but not sent.
func (a *Announcements) Postpone(ctx context.Context, id int64, wait time.Duration, dead bool) error {
	_, err := a.db.Pool.Exec(ctx, `
		UPDATE webhook_events SET next_at = clock_timestamp() + $2::bigint * interval '1 microsecond', dead = $3
		WHERE id = $1`, id, wait.Microseconds(), dead)
	if err != nil {
		return fmt.Errorf("postpone announcement: %w", err)
	}
	return nil
}

// Revive makes every dead announcement due again with all its attempts, and returns how many there were.
func (a *Announcements) Revive(ctx context.Context) (int, error) {
	tag, err := a.db.Pool.Exec(ctx, `
		UPDATE webhook_events SET dead = false, attempts = 0, next_at = '-infinity' WHERE dead`)
	if err != nil {
		return 0, fmt.Errorf("revive announcements: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// Backlog returns the age of the oldest undelivered announcement and how many are dead. It also deletes those older than
// 30 days.
func (a *Announcements) Backlog(ctx context.Context) (lag time.Duration, dead int, err error) {
	var seconds float64
	err = a.db.Pool.QueryRow(ctx, `
		WITH old AS (DELETE FROM webhook_events WHERE created_at < clock_timestamp() - interval '30 days')
		SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE NOT dead)), 0)::float8,
		       count(*) FILTER (WHERE dead) FROM webhook_events`).Scan(&seconds, &dead)
	if err != nil {
		return 0, 0, fmt.Errorf("announcement backlog: %w", err)
	}
	return time.Duration(seconds * float64(time.Second)), dead, nil
}
