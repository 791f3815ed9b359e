package store

import (
	"context"
	"math"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/tuple"
)

// place is a row and where it is stored.
type place struct {
	Row
	block int64
	index int
}

// before is the order by probability.
func before(a, b Row) int {
	switch {
	case a.Probability > b.Probability:
		return -1
	case a.Probability < b.Probability:
		return 1
	}
	return int(a.Row - b.Row)
}

// rowsByProbability reads the probabilities of all rows, keeps the best, and then fetches their ids.
func (ps *Predictions) rowsByProbability(ctx context.Context, user int64, id uuid.UUID, q RowQuery) (RowPage, error) {
	best, prediction, err := ps.best(ctx, user, id, q)
	if err != nil {
		return RowPage{}, err
	}
	var page RowPage
	if len(best) > q.Limit {
		best = best[:q.Limit]
		last := best[q.Limit-1]
		page.Next = &RowCursor{Row: last.Row.Row, Probability: last.Probability}
	}
	if err := ps.fetchIDs(ctx, user, prediction, best); err != nil {
		return RowPage{}, err
	}
	page.Rows = make([]Row, len(best))
	for i, p := range best {
		page.Rows[i] = p.Row
	}
	return page, nil
}

const selectScores = readableBlocks + `
	SELECT d.id, b.* FROM d LEFT JOIN LATERAL (
	    SELECT first_row, row_offset, probability, CASE WHEN $3::int IS NOT NULL THEN risk_bands END,
	        CASE WHEN $3::int IS NOT NULL THEN risk_band END, NULL::text, NULL::text[]
	    FROM prediction_blocks
	    WHERE prediction_id = d.id AND first_row < d.stop AND ($3::int IS NULL OR band_rows[$3 + 1] > 0)
	    ORDER BY first_row) b ON true`

// best gives the first Limit+1 rows behind the cursor in the order by probability. It keeps up to twice as many and
// sorts when those are full, which for n rows costs about as much as sorting n/Limit pages.
func (ps *Predictions) best(
	ctx context.Context, user int64, id uuid.UUID, q RowQuery,
) (best []place, prediction int64, err error) {
	keep, seen := q.Limit+1, 0
	floor := Row{Row: math.MaxInt64, Probability: float32(math.Inf(-1))} // what comes behind it is not needed
	prediction, err = ps.eachBlock(ctx, user, selectScores, []any{id, user, band(q)}, func(b tuple.Block) error {
		if seen += b.Rows(); seen > RowsSortMax {
			return ErrTooManyRows
		}
		for i := range b.Rows() {
			if b.Score(i) < floor.Probability {
				continue
			}
			r := rowOf(b, i)
			if before(r, floor) > 0 || !wanted(r, q) {
				continue
			}
			if best = append(best, place{r, b.FirstRow, i}); len(best) == 2*keep {
				best = sorted(best)[:keep]
				floor = best[keep-1].Row
			}
		}
		return nil
	})
	return sorted(best)[:min(keep, len(best))], prediction, err
}

func wanted(r Row, q RowQuery) bool {
	if q.Band != nil && r.Band != *q.Band {
		return false
	}
	return q.After == nil || before(Row{Row: q.After.Row, Probability: q.After.Probability}, r) < 0
}

func sorted(places []place) []place {
	slices.SortFunc(places, func(a, b place) int { return before(a.Row, b.Row) })
	return places
}

// idOfRow picks the id of row w.i of a block b, counted from 1.
const idOfRow = `CASE WHEN b.customer_ids IS NULL THEN b.customer_id[w.i]
		    ELSE nullif(split_part(b.customer_ids, E'\x1f', w.i), '') END`

// fetchIDs reads the ids and bands of rows that lie anywhere in the prediction, element by element.
func (ps *Predictions) fetchIDs(ctx context.Context, user, prediction int64, places []place) error {
	blocks, index := make([]int32, len(places)), make([]int32, len(places))
	for i, p := range places {
		blocks[i], index[i] = int32(p.block), int32(p.index+1)
	}
	return ps.db.ReadAs(ctx, user, `
		SELECT w.position, `+idOfRow+`,
		    CASE WHEN b.risk_bands IS NULL THEN b.risk_band[w.i] ELSE get_byte(b.risk_bands, w.i - 1)::smallint END
		FROM unnest($2::int[], $3::int[]) WITH ORDINALITY AS w (block, i, position)
		JOIN prediction_blocks b ON b.prediction_id = $1 AND b.first_row = w.block`, []any{prediction, blocks, index},
		func(rows pgx.Rows) error {
			var position int64
			var id *string
			var band int16
			_, err := pgx.ForEachRow(rows, []any{&position, &id, &band}, func() error {
				p := &places[position-1]
				p.ID, p.Band = id, band
				return nil
			})
			return err
		})
}
