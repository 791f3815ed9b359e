package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/tuple"
)

// ErrNoResultRows means that the byte ranges of a prediction's rows in its result are not known: it has no result yet, or
// a version of the program that did not record them has scored some of it.
var ErrNoResultRows = errors.New("places of the rows in the result are not known")

// ResultRows returns the byte ranges of rows of a user's prediction in its result file: header is the header line, and
// ranges has an element for each of rows, in their order. The rows must have been scored, as those of
// [Predictions.Rows] have.
func (ps *Predictions) ResultRows(
	ctx context.Context, userID int64, id uuid.UUID, rows []int64,
) (header objects.Range, ranges []objects.Range, err error) {
	err = ps.db.ReadAs(ctx, userID, selectResultRows, []any{id, userID, rows}, func(found pgx.Rows) error {
		var start *int64
		var span []byte
		_, err := pgx.ForEachRow(found, []any{&header.Length, &start, &span}, func() error {
			if start == nil {
				return ErrNoResultRows
			}
			if len(span) != 8 {
				return tuple.ErrDamaged
			}
			from, to := int64(binary.BigEndian.Uint32(span)), int64(binary.BigEndian.Uint32(span[4:]))
			ranges = append(ranges, objects.Range{Offset: *start + from, Length: to - from})
			return nil
		})
		if err == nil && len(ranges) != len(rows) {
			err = ErrNoResultRows
		}
		return err
	})
	if err != nil {
		return objects.Range{}, nil, fmt.Errorf("find rows in result: %w", err)
	}
	return header, ranges, nil
}

// The result is its header line, which may belong to the first part or not, and then the rows in order. So places are
// counted from its end: a block begins where it and all behind it leave off. Of row_starts, which is stored
// uncompressed, the server reads what substring asks for.
const selectResultRows = `
	WITH p AS (
	    SELECT id, result_bytes FROM predictions WHERE public_id = $1 AND user_id = $2 AND result_key IS NOT NULL
	), blocks AS (
	    SELECT first_row, CASE WHEN count(result_bytes) OVER behind = count(*) OVER behind
	        THEN (SELECT result_bytes FROM p) - sum(result_bytes) OVER behind END AS start
	    FROM prediction_blocks WHERE prediction_id = (SELECT id FROM p)
	    WINDOW behind AS (ORDER BY first_row DESC)
	)
	SELECT (SELECT coalesce(min(start), 0) FROM blocks), s.start, substring(b.row_starts FROM 4 * b.i - 3 FOR 8)
	FROM unnest($3::bigint[]) WITH ORDINALITY AS w (row, position)
	CROSS JOIN LATERAL (
	    SELECT first_row, row_starts, CASE WHEN row_offset IS NULL THEN (w.row - first_row + 1)::int
	        ELSE array_position(row_offset, (w.row - first_row)::int) END AS i
	    FROM prediction_blocks WHERE prediction_id = (SELECT id FROM p) AND first_row <= w.row
	    ORDER BY first_row DESC LIMIT 1) b
	JOIN blocks s ON s.first_row = b.first_row
	ORDER BY w.position`
