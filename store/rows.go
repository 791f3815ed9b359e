package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/tuple"
)

// Limits of reading stored rows.
const (
	// RowsPageMax is the largest page.
	RowsPageMax = 10_000
	// RowsSortMax is the most scored rows of a prediction that can be sorted by probability, as all are read.
	RowsSortMax = 2_000_000
)

// ErrTooManyRows means that a prediction has more than [RowsSortMax] rows to sort.
var ErrTooManyRows = errors.New("too many rows to sort")

// Order is how rows are sorted.
type Order uint8

const (
	// ByRow is the order of the file.
	ByRow Order = iota
	// ByProbability is the highest first; equal ones in the order of the file.
	ByProbability
)

// Row is a scored row.
type Row struct {
	Row         int64   // number in the file; the first data row is 1
	ID          *string // nil where the file has none
	Probability float32
	Band        int16
}

// RowCursor is a place in a list of rows. By row only its row counts.
type RowCursor struct {
	Row         int64
	Probability float32
}

// RowQuery selects a page of rows.
type RowQuery struct {
	Limit int // 1 to RowsPageMax
	Order Order
	Band  *int16     // only rows of this band
	After *RowCursor // nil is the start
}

// RowPage is a page of rows. Next is nil if there are no more for now.
type RowPage struct {
	Rows []Row
	Next *RowCursor
}

// Rows returns a page of the scored rows of a user's prediction, also while it runs or after it was cancelled.
func (ps *Predictions) Rows(ctx context.Context, userID int64, id uuid.UUID, q RowQuery) (RowPage, error) {
	q.Limit = max(1, min(q.Limit, RowsPageMax))
	read := ps.rowsByRow
	if q.Order == ByProbability {
		read = ps.rowsByProbability
	}
	page, err := read(ctx, userID, id, q)
	if err != nil {
		return RowPage{}, fmt.Errorf("read rows: %w", err)
	}
	return page, nil
}

// readableBlocks begins a statement that joins the readable blocks of a user's prediction to it, as d. stop is the
// first row that may still be missing while the prediction runs: a page never jumps over a part that is not done, or
// a client that pages would miss its rows. The prediction is read once: its row answers even if no block does.
const readableBlocks = `
	WITH d AS MATERIALIZED (
	    SELECT d.id, coalesce(CASE WHEN d.status IN ('queued', 'running') THEN (
	        SELECT min(p.first_row) FROM prediction_parts p
	        WHERE p.prediction_id = d.id AND p.generation = d.generation AND p.status <> 'done') END, 2147483647) AS stop
	    FROM predictions d WHERE d.public_id = $1 AND d.user_id = $2)`

// Where to start is worked out in front of the join: row level security lets nothing but a plain comparison into the
// index. The block that holds a row is the last one that begins at or before it.
const (
	blocksFromRow = readableBlocks + `, f AS MATERIALIZED (
	    SELECT d.*, coalesce((SELECT max(first_row) FROM prediction_blocks
	        WHERE prediction_id = d.id AND first_row <= $4), 0) AS start FROM d)` + someBlocks
	blocksFrom = readableBlocks + `, f AS MATERIALIZED (SELECT d.*, $4::int AS start FROM d)` + someBlocks
	someBlocks = `
	SELECT f.id, b.* FROM f LEFT JOIN LATERAL (
	    SELECT first_row, row_offset, probability, risk_bands, risk_band, customer_ids, customer_id
	    FROM prediction_blocks
	    WHERE prediction_id = f.id AND first_row >= f.start AND first_row < f.stop
	      AND ($3::int IS NULL OR band_rows[$3 + 1] > 0)
	    ORDER BY first_row LIMIT $5) b ON true`
)

// rowsByRow fetches blocks, a few at a time, until the page is full.
func (ps *Predictions) rowsByRow(ctx context.Context, user int64, id uuid.UUID, q RowQuery) (RowPage, error) {
	page := RowPage{Rows: make([]Row, 0, q.Limit)}
	after := int64(0)
	if q.After != nil {
		after = q.After.Row
	}
	from, sql := min(after+1, math.MaxInt32), blocksFromRow
	for {
		n := (q.Limit-len(page.Rows)-1)/tuple.BlockRowsMax + 2
		blocks := 0
		_, err := ps.eachBlock(ctx, user, sql, []any{id, user, band(q), from, n}, func(b tuple.Block) error {
			blocks++
			from, sql = min(b.FirstRow+1, math.MaxInt32), blocksFrom
			return page.take(b, q, after)
		})
		if err != nil {
			return RowPage{}, err
		}
		if page.Next != nil || blocks < n {
			return page, nil
		}
	}
}

func band(q RowQuery) *int32 {
	if q.Band == nil {
		return nil
	}
	b := int32(*q.Band)
	return &b
}

// take adds a block's rows behind a row to the page. It sets Next when a row finds no room.
func (p *RowPage) take(b tuple.Block, q RowQuery, after int64) error {
	if p.Next != nil {
		return nil
	}
	first := len(p.Rows)
	index := make([]int32, 0, min(b.Rows(), q.Limit-first))
	for i := range b.Rows() {
		r := rowOf(b, i)
		if r.Row <= after || q.Band != nil && r.Band != *q.Band {
			continue
		}
		if len(p.Rows) == q.Limit {
			p.Next = &RowCursor{Row: p.Rows[q.Limit-1].Row}
			break
		}
		p.Rows, index = append(p.Rows, r), append(index, int32(i))
	}
	if len(index) == 0 {
		return nil
	}
	rows := p.Rows[first:]
	return b.IDs.Strings(index, func(i int, id *string) { rows[i].ID = id })
}

// rowOf is the ith row of a block, without its id.
func rowOf(b tuple.Block, i int) Row {
	return Row{Row: b.Row(i), Probability: b.Score(i), Band: b.Band(i)}
}

// eachBlock runs a statement that begins with readableBlocks, and gives the prediction's internal id.
func (ps *Predictions) eachBlock(
	ctx context.Context, user int64, sql string, args []any, visit func(tuple.Block) error,
) (prediction int64, err error) {
	err = ps.db.ReadAs(ctx, user, sql, args, func(rows pgx.Rows) error {
		defer rows.Close()
		found := false
		for rows.Next() {
			fields := rows.RawValues()
			if len(fields[0]) != 8 {
				return tuple.ErrDamaged
			}
			found, prediction = true, int64(binary.BigEndian.Uint64(fields[0]))
			if fields[1] == nil { // no block
				continue
			}
			b, err := tuple.ParseBlock(fields[1:])
			if err == nil {
				err = visit(b)
			}
			if err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil || found {
			return err
		}
		return ErrNotFound
	})
	return prediction, err
}
