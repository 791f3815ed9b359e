package store

import (
	"context"
	"fmt"
	"time"

	"github.com/retainwise/millrace/store/counts"
)

// expireAtOnce bounds the transactions that expire predictions.
const expireAtOnce = 100

// Expire deletes the results of predictions that ended longer ago than age: their rows at once, their files and what later
// summaries quote of them by [Upkeep.SweepDeletions], their counts if they are of few rows, and partitions of months without any row left. The predictions
// stay, with ResultsDeletedAt set and of an error the code, and so do files in the inbox, which belong to other programs.
// Several processes may call it at the same time.
func (u *Upkeep) Expire(ctx context.Context, age time.Duration) (expired int, err error) {
	for {
		tag, err := u.db.Pool.Exec(ctx, `
			WITH gone AS (
			    UPDATE predictions d SET results_deleted_at = clock_timestamp(), summary = NULL, error = `+withoutCells+`,
			        result_digest = NULL, result_sha256 = NULL, rejects_digest = NULL, rejects_sha256 = NULL
			    FROM uploads u
			    WHERE u.id = d.upload_id AND d.id IN (
			        SELECT id FROM predictions
			        WHERE results_deleted_at IS NULL AND status NOT IN ('queued', 'running') AND NOT finish_due
			          AND finished_at < statement_timestamp() - $1::bigint * interval '1 microsecond'
			        ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)
			    RETURNING d.id, d.public_id, u.public_id AS upload_id, d.user_id, d.rows_scored
			), blocks AS (
			    DELETE FROM prediction_blocks WHERE prediction_id = ANY (ARRAY(SELECT id FROM gone))
			), parts AS (
			    UPDATE prediction_parts SET summary = NULL, warnings = NULL, error = `+withoutCells+`,
			        input_digest = NULL, snapshot_digest = NULL
			    WHERE prediction_id = ANY (ARRAY(SELECT id FROM gone))
			      AND num_nonnulls(summary, warnings, error, input_digest, snapshot_digest) > 0
			), few AS (
			    DELETE FROM prediction_counts
			    WHERE prediction_id = ANY (ARRAY(SELECT id FROM gone WHERE rows_scored < $3))
			), failures AS (
			    UPDATE prediction_failures SET error = `+withoutCells+`
			    WHERE prediction_id = ANY (ARRAY(SELECT id FROM gone))
			)
			INSERT INTO deletions (prediction_id, upload_id, user_id)
			SELECT public_id, upload_id, user_id FROM gone ON CONFLICT (prediction_id) DO NOTHING`,
			age.Microseconds(), expireAtOnce, counts.RowsMin)
		if err != nil {
			return expired, fmt.Errorf("expire results: %w", err)
		}
		expired += int(tag.RowsAffected())
		if tag.RowsAffected() < expireAtOnce {
			break
		}
	}
	// Ids of a month may still be handed out when it ends.
	_, err = u.db.Pool.Exec(ctx, `SELECT drop_empty_prediction_months(
		(date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') - interval '1 month')::date)`)
	if err != nil {
		return expired, fmt.Errorf("expire results: %w", err)
	}
	return expired, nil
}
