package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/objects"
)

// Previous is the upload that a finished one is compared with.
type Previous struct {
	PublicID     uuid.UUID
	Generation   int
	Filename     string
	ModelVersion string
	CreatedAt    time.Time
	Scored       int64
	Snapshots    []Snapshot // of its parts, in order
}

// Snapshot is the object that a part left for the comparison with the next upload.
type Snapshot struct {
	Part   int
	Digest objects.Digest // nil: not recorded
}

// Previous finds the last completed prediction that was accepted before the claim's, of the same user, model and
// dataset; nil if there is none.
func (l *Ledger) Previous(ctx context.Context, c *Claim) (*Previous, error) {
	var p Previous
	var parts []int
	var digests [][]byte
	err := l.db.Pool.QueryRow(ctx, `
		SELECT d.public_id, d.generation, u.filename, coalesce(d.model_version, ''), d.created_at, d.rows_scored,
		       ARRAY(SELECT p.part_no`+partsWithSnapshot+`), ARRAY(SELECT p.snapshot_digest`+partsWithSnapshot+`)
		FROM predictions d JOIN uploads u ON u.id = d.upload_id
		WHERE d.user_id = $1 AND d.model_name = $2 AND d.dataset = $3 AND d.id < $4 AND d.status = 'completed'
		  AND d.results_deleted_at IS NULL
		ORDER BY d.id DESC LIMIT 1`, c.UserID, c.Model.Name, c.Dataset, c.PredictionID).
		Scan(&p.PublicID, &p.Generation, &p.Filename, &p.ModelVersion, &p.CreatedAt, &p.Scored, &parts, &digests)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find previous prediction: %w", err)
	}
	for i, no := range parts {
		p.Snapshots = append(p.Snapshots, Snapshot{Part: no, Digest: digests[i]})
	}
	return &p, nil
}

const partsWithSnapshot = ` FROM prediction_parts p
	WHERE p.prediction_id = d.id AND p.generation = d.generation AND p.snapshot_bytes > 0 ORDER BY p.part_no`

// CustomerIDs returns the ids of rows of the claim's prediction by row number; rows that are not stored or have no id are
// left out.
func (l *Ledger) CustomerIDs(ctx context.Context, c *Claim, rows []int64) (map[int64]string, error) {
	ids := make(map[int64]string, len(rows))
	answer, err := l.db.Pool.Query(ctx, `
		SELECT r.row, `+idOfRow+`
		FROM unnest($2::int[]) AS r (row)
		CROSS JOIN LATERAL (SELECT first_row, row_offset, customer_ids, customer_id FROM prediction_blocks
		    WHERE prediction_id = $1 AND first_row <= r.row ORDER BY first_row DESC LIMIT 1) b
		CROSS JOIN LATERAL (SELECT CASE WHEN b.row_offset IS NULL THEN r.row - b.first_row + 1
		    ELSE array_position(b.row_offset, r.row - b.first_row) END AS i) w`,
		c.PredictionID, rows)
	if err == nil {
		var row int64
		var id *string
		_, err = pgx.ForEachRow(answer, []any{&row, &id}, func() error {
			if id != nil {
				ids[row] = *id
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read customer ids: %w", err)
	}
	return ids, nil
}
