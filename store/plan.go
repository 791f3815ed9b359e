package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/models"
)

// Plan is the result of the first pass over a dropped file.
type Plan struct {
	Header Header
	Rows   int64
	Bytes  int64
	SHA256 [32]byte
	Parts  []Part // in order; at least one, all planned
	Model  Model  // what to score with; zero keeps what is there
	// ObjectKey and ObjectETag name an unpacked copy to read from now on; empty keeps the dropped file.
	ObjectKey, ObjectETag string
	Options               json.RawMessage // added to the prediction's; nil adds nothing
}

// PlanPart replaces a claimed part that is not planned by the parts that were found. It ends the claim: the new parts
// can be claimed, and workers are notified. A model that is not kept, or was withdrawn, is [models.ErrNotKept] or
// [models.ErrWithdrawn].
func (l *Ledger) PlanPart(ctx context.Context, c *Claim, p Plan) error {
	err := l.db.InTx(ctx, func(tx pgx.Tx) error {
		if err := fence(ctx, tx, c); err != nil {
			return err
		}
		if len(p.Parts) == 0 || c.Part.Planned {
			return fmt.Errorf("%w: %d parts for part %d", ErrConflict, len(p.Parts), c.Part.No)
		}
		if err := models.Pin(ctx, tx, p.Model.SHA256); err != nil {
			return err
		}
		if err := replacePart(ctx, tx, c, p); err != nil {
			return err
		}
		return recordPlan(ctx, tx, c, p)
	})
	if err != nil {
		return fmt.Errorf("plan part: %w", err)
	}
	announce(ctx, l.db, c.PredictionID)
	return nil
}

// replacePart keeps the row of the first part and raises its epoch: a fresh row would begin at the epoch that a late
// holder of this claim still names.
//
// The file keeps its turn. Only now is it known how large it is unpacked, which may take it to the other lane.
func replacePart(ctx context.Context, tx pgx.Tx, c *Claim, p Plan) error {
	first, at := p.Parts[0], turn{small: isSmall(p.Bytes)}
	err := tx.QueryRow(ctx, `
		UPDATE prediction_parts
		SET byte_offset = $4, byte_length = $5, first_row = $6, first_line = $7, n_rows = $8, small = $9,
		    turn = CASE WHEN small = $9 THEN turn ELSE next_turn($10, $9) END, input_digest = $11,
		    epoch = epoch + 1, attempts = 0, deaths = 0, lease_until = '-infinity', worker = NULL, error = NULL,
		    postponed_since = NULL, refused = false
		WHERE prediction_id = $1 AND generation = $2 AND part_no = $3
		RETURNING turn`,
		c.PredictionID, c.Generation, c.Part.No, first.Offset, first.Bytes, first.FirstRow, first.FirstLine, first.Rows,
		at.small, c.UserID, []byte(first.Digest)).Scan(&at.first)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE predictions SET small = $2, turn_end = $3 WHERE id = $1`,
		c.PredictionID, at.small, at.first+p.Bytes)
	if err != nil || len(p.Parts) == 1 {
		return err
	}
	return insertParts(ctx, tx, c.PredictionID, c.Generation, at, p.Parts[1:])
}

func recordPlan(ctx context.Context, tx pgx.Tx, c *Claim, p Plan) error {
	tag, err := tx.Exec(ctx, `
		UPDATE predictions
		SET model_name = coalesce(nullif($3, ''), model_name), model_version = coalesce(nullif($4, ''), model_version),
		    model_sha256 = coalesce(nullif($5, ''), model_sha256),
		    engine_version = coalesce(nullif($6, ''), engine_version),
		    options = options || coalesce($7::jsonb, '{}')
		WHERE id = $1 AND generation = $2 AND status = 'running'`,
		c.PredictionID, c.Generation, p.Model.Name, p.Model.Version, p.Model.SHA256, p.Model.Engine, p.Options)
	if err := requireRow(tag, err); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE uploads u
		SET row_count = $2, delimiter = $3, columns = $4, header_bytes = $5, header_lines = $6, bytes = $7, sha256 = $8,
		    object_key = coalesce(nullif($9, ''), object_key),
		    object_etag = CASE WHEN $9 = '' THEN object_etag ELSE $10 END,
		    object_version = CASE WHEN $9 = '' THEN object_version ELSE '' END,
		    updated_at = clock_timestamp()
		FROM predictions d WHERE d.id = $1 AND u.id = d.upload_id`,
		c.PredictionID, p.Rows, string(p.Header.Delimiter), p.Header.Columns, p.Header.Bytes, p.Header.Lines,
		p.Bytes, p.SHA256[:], p.ObjectKey, p.ObjectETag)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT pg_notify($1, '')`, doorbell)
	return err
}
