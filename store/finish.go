package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/objects"
)

// PartRecord is a part with its result, as the ledger has them.
type PartRecord struct {
	Part
	Done bool
	PartResult
}

// Parts lists the parts of the claim's prediction in order, for the last step to join.
func (l *Ledger) Parts(ctx context.Context, c *Claim) ([]PartRecord, error) {
	rows, err := l.db.Pool.Query(ctx, `
		SELECT part_no, byte_length IS NOT NULL, byte_offset, coalesce(byte_length, 0), first_row, first_line,
		       coalesce(n_rows, 0), status = 'done', coalesce(n_scored, 0), coalesce(n_rejected, 0), warnings, summary,
		       coalesce(result_bytes, 0), coalesce(result_etag, ''),
		       coalesce(rejects_bytes, 0), coalesce(rejects_etag, ''), coalesce(snapshot_bytes, 0), input_digest,
		       result_digest, result_sha256, rejects_digest, rejects_sha256, snapshot_digest
		FROM prediction_parts WHERE prediction_id = $1 AND generation = $2 ORDER BY part_no`,
		c.PredictionID, c.Generation)
	if err != nil {
		return nil, fmt.Errorf("list parts: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (PartRecord, error) {
		var r PartRecord
		err := row.Scan(&r.No, &r.Planned, &r.Offset, &r.Part.Bytes, &r.FirstRow, &r.FirstLine,
			&r.Rows, &r.Done, &r.Scored, &r.Rejected, &r.Warnings, &r.Summary,
			&r.ResultBytes, &r.ResultETag, &r.RejectsBytes, &r.RejectsETag, &r.SnapshotBytes, (*[]byte)(&r.Part.Digest),
			(*[]byte)(&r.ResultDigest), &r.ResultSHA256, (*[]byte)(&r.RejectsDigest), &r.RejectsSHA256,
			(*[]byte)(&r.SnapshotDigest))
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("list parts: %w", err)
	}
	return list, nil
}

// Result is what a finished prediction publishes. Empty keys mean that there is no such object.
type Result struct {
	ResultKey, ResultETag string
	ResultBytes           int64
	RejectsKey            string
	RejectsBytes          int64
	Warnings, Summary     json.RawMessage
	// Digests of the objects; nil: not known.
	ResultDigest, RejectsDigest objects.Digest
	ResultSHA256, RejectsSHA256 []byte
	// Counted is kept if the prediction is completed; nil keeps nothing.
	Counted *counts.Counted
}

// Finish publishes the joined results. A running prediction becomes completed; a cancelled one stays cancelled and
// shows what was done. The counts are those of the ledger. If another worker finished it before, it is [ErrLeaseLost].
func (l *Ledger) Finish(ctx context.Context, c *Claim, r Result) error {
	err := l.db.InTx(ctx, func(tx pgx.Tx) error {
		// Customers' data in parts is in the summary now and must not be kept longer. Parts are locked first everywhere.
		// Their objects have been joined, so that their digests are of nothing any more.
		_, err := tx.Exec(ctx, `
			UPDATE prediction_parts
			SET summary = NULL, warnings = NULL,
			    result_digest = NULL, result_sha256 = NULL, rejects_digest = NULL, rejects_sha256 = NULL
			WHERE prediction_id = $1 AND generation <= $2 AND (summary IS NOT NULL OR warnings IS NOT NULL)`,
			c.PredictionID, c.Generation)
		if err != nil {
			return err
		}
		var upload int64
		var status Status
		err = tx.QueryRow(ctx, `
			UPDATE predictions d
			SET status = CASE WHEN d.status = 'running' THEN 'completed' ELSE d.status END,
			    finished_at = CASE WHEN d.status = 'running' THEN clock_timestamp() ELSE d.finished_at END,
			    finish_due = false, finish_worker = NULL, status_reason = NULL, error = NULL,
			    rows_scored = l.scored, rows_rejected = l.rejected, warnings = $4, summary = $5,
			    result_key = nullif($6, ''), result_etag = nullif($7, ''), result_bytes = $8,
			    rejects_key = nullif($9, ''), rejects_bytes = $10,
			    result_digest = $11, result_sha256 = $12, rejects_digest = $13, rejects_sha256 = $14
			FROM (SELECT coalesce(sum(n_scored), 0) AS scored, coalesce(sum(n_rejected), 0) AS rejected
			      FROM prediction_parts WHERE prediction_id = $1 AND generation = $2 AND status = 'done') l
			WHERE d.id = $1 AND d.generation = $2 AND d.finish_epoch = $3 AND d.finish_due
			  AND d.status IN ('running', 'cancelled')
			RETURNING d.upload_id, d.status`,
			c.PredictionID, c.Generation, c.Epoch, r.Warnings, r.Summary, r.ResultKey, r.ResultETag, r.ResultBytes,
			r.RejectsKey, r.RejectsBytes,
			[]byte(r.ResultDigest), r.ResultSHA256, []byte(r.RejectsDigest), r.RejectsSHA256).Scan(&upload, &status)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrLeaseLost
		}
		if err != nil || status != Completed {
			return err
		}
		if err := counts.Record(ctx, tx, c.PredictionID, r.Counted); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE uploads SET status = 'completed', updated_at = clock_timestamp() WHERE id = $1`, upload)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	announce(ctx, l.db, c.PredictionID)
	return nil
}
