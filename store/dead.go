package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/models"
)

// DeadLetter is a prediction that ended without a result, for the operator.
type DeadLetter struct {
	ID         uuid.UUID
	InternalID int64
	UserID     int64
	Status     Status // failed or dead
	Generation int
	Model      Model
	Error      *Failure
	FinishedAt time.Time
}

// Cursor returns the place behind the dead letter in a list.
func (d DeadLetter) Cursor() *Cursor { return &Cursor{CreatedAt: d.FinishedAt, ID: d.InternalID} }

// Attempt is a failed attempt at a part, or at the last step.
type Attempt struct {
	Generation int
	Part       *int // nil: the last step
	Attempt    int
	Worker     string
	Failure    Failure
	FailedAt   time.Time
}

// DeadFilter selects dead letters. The zero value selects all.
type DeadFilter struct {
	Code  string    // published code of their error; empty: any
	Since time.Time // when they ended or later; zero: at any time
}

// DeadLetters lists at most limit predictions of all users that have failed or are dead and that f chooses, latest
// first.
func (u *Upkeep) DeadLetters(ctx context.Context, f DeadFilter, after *Cursor, limit int) ([]DeadLetter, error) {
	where, args := "", []any{limit}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where += " AND " + condition
	}
	if after != nil {
		add(`(finished_at, id) < (?, ?)`, after.CreatedAt, after.ID)
	}
	if f.Code != "" {
		add(`error->>'code' = ?`, f.Code)
	}
	if !f.Since.IsZero() {
		add(`finished_at >= ?`, f.Since)
	}
	rows, err := u.db.Pool.Query(ctx, `
		SELECT public_id, id, user_id, status, generation, coalesce(model_name, ''), coalesce(model_version, ''),
		       coalesce(model_sha256, ''), coalesce(engine_version, ''), error, finished_at
		FROM predictions WHERE status IN ('failed', 'dead') `+where+`
		ORDER BY finished_at DESC, id DESC LIMIT $1`, args...)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (DeadLetter, error) {
		var d DeadLetter
		err := row.Scan(&d.ID, &d.InternalID, &d.UserID, &d.Status, &d.Generation, &d.Model.Name, &d.Model.Version,
			&d.Model.SHA256, &d.Model.Engine, &d.Error, &d.FinishedAt)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return list, nil
}

// Attempts lists the failed attempts at a prediction, latest first, at most 100.
func (u *Upkeep) Attempts(ctx context.Context, id uuid.UUID) ([]Attempt, error) {
	rows, err := u.db.Pool.Query(ctx, `
		SELECT f.generation, f.part_no, f.attempt, coalesce(f.worker, ''), f.error, f.failed_at
		FROM prediction_failures f JOIN predictions d ON d.id = f.prediction_id
		WHERE d.public_id = $1 ORDER BY f.id DESC LIMIT 100`, id)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Attempt])
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	return list, nil
}

// Retry scores a failed, dead or cancelled prediction again from scratch: a new generation with new keys. Stored rows
// of the old one are deleted, also those kept for retraining; its objects are left to the sweep of their prefix. A
// model that is not zero replaces the pinned one. A prediction that is queued, running or completed, or whose file has
// expired, is [ErrConflict]; a withdrawn model is [models.ErrWithdrawn].
func (u *Upkeep) Retry(ctx context.Context, id uuid.UUID, model Model) error {
	err := u.db.InTx(ctx, func(tx pgx.Tx) error {
		var internal int64
		var status Status
		var old int
		var expired bool
		var pinned string
		err := tx.QueryRow(ctx, `SELECT id, status, generation, results_deleted_at IS NOT NULL, coalesce(model_sha256, '')
			FROM predictions WHERE public_id = $1 FOR NO KEY UPDATE`, id).Scan(&internal, &status, &old, &expired, &pinned)
		if err != nil {
			return notFound(err)
		}
		if !status.Done() || status == Completed || expired {
			return ErrConflict
		}
		if model.SHA256 != "" {
			pinned = model.SHA256
		}
		if err := models.Pin(ctx, tx, pinned); err != nil && !errors.Is(err, models.ErrNotKept) { // else it waits for it
			return err
		}
		if err := nextGeneration(ctx, tx, internal, old); err != nil {
			return err
		}
		if err := requeueFromScratch(ctx, tx, internal, model); err != nil {
			return err
		}
		return ring(ctx, tx, internal, id)
	})
	if err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	return nil
}

// nextGeneration copies the borders of the old parts: they depend on the input only. Their turn comes anew.
func nextGeneration(ctx context.Context, tx pgx.Tx, id int64, old int) error {
	if _, err := tx.Exec(ctx, `DELETE FROM prediction_blocks WHERE prediction_id = $1`, id); err != nil {
		return err
	}
	if err := dropTraining(ctx, tx, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		WITH d AS (
		    UPDATE predictions d
		    SET turn_end = next_turn(d.user_id, d.small) + coalesce(u.bytes, 0)
		    FROM uploads u WHERE d.id = $1 AND u.id = d.upload_id
		    RETURNING d.small, d.turn_end - coalesce(u.bytes, 0) AS turn
		)
		INSERT INTO prediction_parts (prediction_id, generation, part_no, byte_offset, byte_length,
		                              first_row, first_line, n_rows, input_digest, small, turn)
		SELECT prediction_id, generation + 1, part_no, byte_offset, byte_length, first_row, first_line, n_rows,
		       input_digest, d.small, d.turn + byte_offset
		FROM prediction_parts, d WHERE prediction_id = $1 AND generation = $2`, id, old)
	return err
}

func requeueFromScratch(ctx context.Context, tx pgx.Tx, id int64, m Model) error {
	_, err := tx.Exec(ctx, `
		UPDATE predictions
		SET generation = generation + 1, status = 'queued', status_reason = NULL, error = NULL,
		    model_name = coalesce(nullif($2, ''), model_name),
		    model_version = CASE WHEN $2 = '' THEN model_version ELSE nullif($3, '') END,
		    model_sha256 = CASE WHEN $2 = '' THEN model_sha256 ELSE nullif($4, '') END,
		    engine_version = coalesce(nullif($5, ''), engine_version),
		    rows_scored = 0, rows_rejected = 0, warnings = NULL, summary = NULL, result_key = NULL, result_etag = NULL,
		    result_bytes = NULL, rejects_key = NULL, rejects_bytes = NULL,
		    result_digest = NULL, result_sha256 = NULL, rejects_digest = NULL, rejects_sha256 = NULL,
		    finish_due = false, finish_worker = NULL, finish_attempts = 0, finish_deaths = 0, finish_lease_until = '-infinity',
		    finish_postponed_since = NULL, finish_refused = false,
		    queued_at = clock_timestamp(), started_at = NULL, first_result_at = NULL, finished_at = NULL
		WHERE id = $1`, id, m.Name, m.Version, m.SHA256, m.Engine)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE uploads u SET status = 'pending', updated_at = clock_timestamp()
		FROM predictions d WHERE d.id = $1 AND u.id = d.upload_id`, id)
	return err
}

// WithdrawModel withdraws a model for good: no prediction is made to name it any more, and those that wait for it or are
// scored with it fail with f. It returns how many. A digest that has no row is [ErrNotFound].
func (u *Upkeep) WithdrawModel(ctx context.Context, digest string, f Failure) (ended int, err error) {
	err = u.db.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE models SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp()) WHERE sha256 = $1`, digest)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		tag, err = tx.Exec(ctx, `
			WITH over AS (
			    UPDATE predictions
			    SET status = 'failed', status_reason = NULL, error = $2, finish_due = false, finish_worker = NULL,
			        finished_at = clock_timestamp()
			    WHERE model_sha256 = $1 AND results_deleted_at IS NULL AND status IN ('queued', 'running')
			    RETURNING upload_id
			)
			UPDATE uploads u SET status = 'failed', updated_at = clock_timestamp() FROM over WHERE u.id = over.upload_id`,
			digest, f)
		ended = int(tag.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("withdraw model: %w", err)
	}
	return ended, nil
}
