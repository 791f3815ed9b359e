package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/internal/database"
)

// Outbox is the view of the queue messages ("doorbells") that are still to be sent. It is safe for concurrent use.
type Outbox struct {
	db           *database.DB
	log          *slog.Logger
	pollInterval time.Duration // longest pause of Relay
}

// doorbell is the channel of NOTIFY. Its notifications have no payload.
const doorbell = "millrace_parts"

// ring inserts an outbox row and a NOTIFY that is sent when the transaction commits.
func ring(ctx context.Context, tx pgx.Tx, prediction int64, id uuid.UUID) error {
	_, err := tx.Exec(ctx, `INSERT INTO outbox (prediction_id, public_id) VALUES ($1, $2)`, prediction, id)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT pg_notify($1, '')`, doorbell)
	return err
}

// OutboxEntry is a prediction whose doorbell is still to be sent.
type OutboxEntry struct {
	ID           int64
	PredictionID uuid.UUID
}

// Claim takes at most limit entries for 30 s. Entries that are not discarded by then are given out again: a doorbell
// that comes twice is harmless.
func (o *Outbox) Claim(ctx context.Context, limit int) ([]OutboxEntry, error) {
	rows, err := o.db.Pool.Query(ctx, `
		UPDATE outbox SET claimed_until = clock_timestamp() + interval '30 seconds'
		WHERE id IN (SELECT id FROM outbox WHERE claimed_until <= clock_timestamp()
		             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING id, public_id`, limit)
	if err != nil {
		return nil, fmt.Errorf("claim outbox: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[OutboxEntry])
	if err != nil {
		return nil, fmt.Errorf("claim outbox: %w", err)
	}
	return list, nil
}

// Discard removes entries that have been delivered.
func (o *Outbox) Discard(ctx context.Context, ids []int64) error {
	if _, err := o.db.Pool.Exec(ctx, `DELETE FROM outbox WHERE id = ANY ($1)`, ids); err != nil {
		return fmt.Errorf("discard outbox: %w", err)
	}
	return nil
}

// Release makes entries that could not be delivered available at once.
func (o *Outbox) Release(ctx context.Context, ids []int64) error {
	_, err := o.db.Pool.Exec(ctx, `UPDATE outbox SET claimed_until = '-infinity' WHERE id = ANY ($1)`, ids)
	if err != nil {
		return fmt.Errorf("release outbox: %w", err)
	}
	return nil
}

// closeAbandonedParts marks open parts dead whose prediction has ended or was restarted, so that they leave the index of
// open parts.
func closeAbandonedParts(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		UPDATE prediction_parts SET status = 'dead' WHERE ctid = ANY (ARRAY(
		    SELECT p.ctid FROM prediction_parts p JOIN predictions d ON d.id = p.prediction_id
		    WHERE p.status = 'open' AND (d.status NOT IN ('queued', 'running') OR d.generation <> p.generation)
		    LIMIT 10000 FOR UPDATE OF p SKIP LOCKED))`)
	return err
}

// Sweep drops outbox rows of predictions that have been started, closes parts of ended predictions, notifies workers
// again if predictions have waited longer than age, and creates the next month's partition in time. rung is how many
// have waited that long. One process at a time calls it, every half minute.
func (o *Outbox) Sweep(ctx context.Context, age time.Duration) (rung int, err error) {
	err = o.db.InTx(ctx, func(tx pgx.Tx) error {
		// One by one: a join would read all predictions when the table has been large for a moment.
		_, err := tx.Exec(ctx, `
			DELETE FROM outbox o WHERE (SELECT d.status FROM predictions d WHERE d.id = o.prediction_id) <> 'queued'`)
		if err != nil {
			return err
		}
		if err := closeAbandonedParts(ctx, tx); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			SELECT count(*) FROM outbox
			WHERE created_at < clock_timestamp() - $1::bigint * interval '1 microsecond'`, age.Microseconds()).Scan(&rung)
		if err != nil {
			return err
		}
		if rung > 0 {
			if _, err := tx.Exec(ctx, `SELECT pg_notify($1, '')`, doorbell); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `SELECT turn_prediction_month((clock_timestamp() AT TIME ZONE 'UTC')::date)`)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sweep: %w", err)
	}
	return rung, nil
}
