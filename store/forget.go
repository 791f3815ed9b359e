package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// withoutCells is an error column without its message and details, which may quote a cell of the file. Without a message
// the code's own is shown.
const withoutCells = `(error - 'details') || '{"message": ""}'`

// withoutComparison is a summary whose comparison quotes a prediction that is gone.
const withoutComparison = `jsonb_set(summary, '{changes}', '{"status": "previous_unavailable", "previous": null}')`

// forgetComparisons removes what summaries of other predictions quote of one that is gone. It is repeated by every pass
// over the deletion, as a prediction that was being finished meanwhile may publish the comparison later.
func (u *Upkeep) forgetComparisons(ctx context.Context, gone uuid.UUID) error {
	_, err := u.db.Pool.Exec(ctx, `UPDATE predictions SET summary = `+withoutComparison+` WHERE compared_with = $1`, gone)
	if err != nil {
		return fmt.Errorf("forget comparisons: %w", err)
	}
	return nil
}

const (
	forgetPartsAtOnce       = 500
	forgetPredictionsAtOnce = 200
)

// ForgetEnded removes customers' data that nothing reads any more: summaries of parts whose prediction has ended without
// one of its own, or was restarted, and, once after an upgrade, what older versions left of predictions that were deleted
// or have expired. Its transactions are short, and it continues where it was interrupted. Several processes may call it
// at the same time.
func (u *Upkeep) ForgetEnded(ctx context.Context) error {
	for {
		tag, err := u.db.Pool.Exec(ctx, `
			UPDATE prediction_parts SET summary = NULL, warnings = NULL
			WHERE (prediction_id, generation, part_no) IN (
			    SELECT p.prediction_id, p.generation, p.part_no
			    FROM prediction_parts p JOIN predictions d ON d.id = p.prediction_id
			    WHERE (p.summary IS NOT NULL OR p.warnings IS NOT NULL)
			      AND (d.generation <> p.generation OR d.status NOT IN ('queued', 'running') AND NOT d.finish_due)
			    LIMIT $1 FOR UPDATE OF p SKIP LOCKED)`, forgetPartsAtOnce)
		if err != nil {
			return fmt.Errorf("forget parts: %w", err)
		}
		if tag.RowsAffected() < forgetPartsAtOnce {
			break
		}
	}
	for more := true; more; {
		err := u.db.InTx(ctx, func(tx pgx.Tx) (err error) {
			more, err = cleanUp(ctx, tx)
			return err
		})
		if err != nil {
			return fmt.Errorf("clean up: %w", err)
		}
	}
	return nil
}

// cleanUp goes through the next predictions of earlier versions, and returns false when there are none left.
func cleanUp(ctx context.Context, tx pgx.Tx) (more bool, err error) {
	var next, last int64
	var n int
	err = tx.QueryRow(ctx, `SELECT next_id FROM cleanup FOR UPDATE SKIP LOCKED`).Scan(&next)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil // done, or another process is at it
	}
	if err != nil {
		return false, err
	}
	err = tx.QueryRow(ctx, `
		SELECT count(*), coalesce(max(id), 0) FROM (
		    SELECT id FROM predictions WHERE id >= $1 ORDER BY id LIMIT $2) p`, next, forgetPredictionsAtOnce).Scan(&n, &last)
	if err != nil {
		return false, err
	}
	if n == 0 {
		_, err = tx.Exec(ctx, `DELETE FROM cleanup`)
		return false, err
	}
	var batch pgx.Batch // the first statement has the trigger set compared_with
	batch.Queue(`
		UPDATE predictions SET summary = summary
		WHERE id BETWEEN $1 AND $2 AND compared_with IS NULL
		  AND summary #>> '{changes,previous,prediction_id}' IS NOT NULL`, next, last)
	batch.Queue(`
		UPDATE predictions d SET summary = `+withoutComparison+`
		WHERE id BETWEEN $1 AND $2 AND compared_with IS NOT NULL
		  AND NOT EXISTS (SELECT FROM predictions p WHERE p.public_id = d.compared_with AND p.results_deleted_at IS NULL)`,
		next, last)
	for _, table := range []string{"prediction_failures", "prediction_parts"} {
		batch.Queue(`
			UPDATE `+table+` SET error = `+withoutCells+`
			WHERE error IS NOT NULL AND prediction_id IN (
			    SELECT id FROM predictions WHERE id BETWEEN $1 AND $2 AND results_deleted_at IS NOT NULL)`, next, last)
	}
	batch.Queue(`
		UPDATE predictions SET error = `+withoutCells+`
		WHERE id BETWEEN $1 AND $2 AND results_deleted_at IS NOT NULL AND error IS NOT NULL`, next, last)
	batch.Queue(`UPDATE cleanup SET next_id = $1`, last+1)
	return true, tx.SendBatch(ctx, &batch).Close()
}
