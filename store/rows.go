package store

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Limits of reading stored rows.
const (
	// RowsPageMax is the largest page.
	RowsPageMax = 10_000
	// RowsSortMax is the most scored rows of a prediction whose rows are sorted by probability: all are looked at.
	RowsSortMax = 2_000_000
)

// ErrTooManyRows says that a prediction has more than [RowsSortMax] rows to sort.
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

// RowQuery says which rows are wanted.
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

// stored says where the readable rows of a prediction are.
type stored struct {
	user, id int64
	// end is the first row that may still be missing while the prediction runs: a page never jumps over a part that is
	// not done, or whoever pages would not see its rows.
	end int64
}

// Rows answers with a page of the scored rows of a user's prediction, also while it runs or after it was cancelled.
func (s *Store) Rows(ctx context.Context, userID int64, id uuid.UUID, q RowQuery) (RowPage, error) {
	q.Limit = max(1, min(q.Limit, RowsPageMax))
	var page RowPage
	where, err := s.storedRows(ctx, userID, id)
	if err == nil && q.Order == ByRow {
		page, err = s.rowsByRow(ctx, where, q)
	} else if err == nil {
		page, err = s.rowsByProbability(ctx, where, q)
	}
	if err != nil {
		return RowPage{}, fmt.Errorf("read rows: %w", err)
	}
	return page, nil
}

func (s *Store) storedRows(ctx context.Context, userID int64, id uuid.UUID) (stored, error) {
	where := stored{user: userID}
	err := s.readAs(ctx, userID, `
		SELECT d.id, coalesce(CASE WHEN d.status IN ('queued', 'running') THEN (
		    SELECT min(p.first_row) FROM prediction_parts p
		    WHERE p.prediction_id = d.id AND p.generation = d.generation AND p.status <> 'done') END, $3)
		FROM predictions d WHERE d.public_id = $1 AND d.user_id = $2`, []any{id, userID, math.MaxInt32},
		func(rows pgx.Rows) error {
			_, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (struct{}, error) {
				return struct{}{}, row.Scan(&where.id, &where.end)
			})
			return err
		})
	return where, notFound(err)
}

const selectBlocks = `
	SELECT first_row, row_offset, probability, risk_band, customer_id FROM prediction_blocks
	WHERE prediction_id = $1 AND first_row < $2 AND ($3::int IS NULL OR band_rows[$3 + 1] > 0) AND first_row >= `

// The block that holds a row is the last one that begins at or before it.
const (
	fromRow   = `coalesce((SELECT max(first_row) FROM prediction_blocks WHERE prediction_id = $1 AND first_row <= $4), 0)`
	fromBlock = `$4`
)

// rowsByRow fetches blocks, a few at a time, until the page is full.
func (s *Store) rowsByRow(ctx context.Context, where stored, q RowQuery) (RowPage, error) {
	page := RowPage{Rows: make([]Row, 0, q.Limit)}
	after := int64(0)
	if q.After != nil {
		after = q.After.Row
	}
	from, start := min(after+1, math.MaxInt32), fromRow
	for {
		n := (q.Limit-len(page.Rows)-1)/blockRowsMax + 2
		sql := selectBlocks + start + ` ORDER BY first_row LIMIT $5`
		blocks := 0
		err := s.eachBlock(ctx, where, sql, []any{where.id, where.end, band(q), from, n}, func(b storedBlock) error {
			blocks++
			from, start = min(b.firstRow+1, math.MaxInt32), fromBlock
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
func (p *RowPage) take(b storedBlock, q RowQuery, after int64) error {
	if p.Next != nil {
		return nil
	}
	first := len(p.Rows)
	var index []int
	for i := range b.probability.n {
		r := b.at(i)
		if r.Row <= after || q.Band != nil && r.Band != *q.Band {
			continue
		}
		if len(p.Rows) == q.Limit {
			p.Next = &RowCursor{Row: p.Rows[q.Limit-1].Row}
			break
		}
		p.Rows, index = append(p.Rows, r), append(index, i)
	}
	if len(index) == 0 {
		return nil
	}
	return fillIDs(p.Rows[first:], index, b.ids)
}

// fillIDs sets the ids of rows; index, ascending, says which element of the block each is. The ids share memory.
func fillIDs(rows []Row, index []int, ids pgArray) error {
	texts := make([]string, len(rows))
	all := string(ids.elements)
	next, at := 0, 0
	err := ids.texts(func(i int, text []byte) {
		at += 4
		if next < len(index) && index[next] == i {
			if text != nil {
				texts[next] = all[at : at+len(text)]
				rows[next].ID = &texts[next]
			}
			next++
		}
		at += len(text)
	})
	return err
}

func (s *Store) eachBlock(
	ctx context.Context, where stored, sql string, args []any, visit func(storedBlock) error,
) error {
	return s.readAs(ctx, where.user, sql, args, func(rows pgx.Rows) error {
		defer rows.Close()
		for rows.Next() {
			b, err := parseBlock(rows.RawValues())
			if err == nil {
				err = visit(b)
			}
			if err != nil {
				return err
			}
		}
		return rows.Err()
	})
}
