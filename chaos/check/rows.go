package check

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// expected is what the files say about an input, row by row.
type expected struct {
	rows   int64 // data rows of the input
	scored []scoredRow
}

type scoredRow struct {
	no          int64 // in the input; the first is 1
	customer    string
	probability float32
	band        int16
}

// bands are the risk bands of the bundle that the inputs are made for, by their number in the tables.
var bands = []string{"low", "medium", "high"}

func readExpected(in *Input) (*expected, error) {
	sent, err := csv.NewReader(bytes.NewReader(in.CSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	e := &expected{rows: int64(len(sent)) - 1}
	rejected, err := rejectedRows(in.Rejects)
	if err != nil {
		return nil, err
	}
	result, err := csv.NewReader(bytes.NewReader(in.Result)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	customer := slices.Index(result[0], "customerID")
	probability := slices.Index(result[0], "churn_probability")
	band := slices.Index(result[0], "risk_band")
	no := int64(0)
	for _, cells := range result[1:] {
		for no++; rejected[no]; no++ { // the result has every row but these, in order
		}
		value, err := strconv.ParseFloat(cells[probability], 32)
		if err != nil {
			return nil, fmt.Errorf("read result: %w", err)
		}
		if sent[no][slices.Index(sent[0], "customerID")] != cells[customer] {
			return nil, fmt.Errorf("row %d of the undisturbed result is not that of the input", no)
		}
		e.scored = append(e.scored, scoredRow{
			no, cells[customer], float32(value), int16(slices.Index(bands, cells[band])),
		})
	}
	return e, nil
}

func rejectedRows(file []byte) (map[int64]bool, error) {
	rejected := map[int64]bool{}
	if len(file) == 0 {
		return rejected, nil
	}
	lines, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read rejects: %w", err)
	}
	column := slices.Index(lines[0], "_row")
	for _, cells := range lines[1:] {
		no, err := strconv.ParseInt(cells[column], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read rejects: %w", err)
		}
		rejected[no] = true
	}
	return rejected, nil
}

// verifyParts checks that the ledger of the published generation covers the file once and adds up.
func (c *Checker) verifyParts(ctx context.Context, r *report, p *Prediction, want *expected) error {
	type part struct {
		No                        int
		FirstRow, Offset          int64
		Bytes, Rows, Good, Refuse *int64
		Status                    string
	}
	rows, err := c.db.Query(ctx, `
		SELECT part_no, first_row, byte_offset, byte_length, n_rows, n_scored, n_rejected, status
		FROM prediction_parts WHERE prediction_id = $1 AND generation = $2 ORDER BY part_no`, p.ID, p.Generation)
	if err != nil {
		return fmt.Errorf("read parts: %w", err)
	}
	parts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[part])
	if err != nil {
		return fmt.Errorf("read parts: %w", err)
	}
	next, offset, good, refused := int64(1), int64(0), int64(0), int64(0)
	for i, part := range parts {
		if part.No != i || part.Status != "done" || part.Good == nil || part.Refuse == nil || part.Rows == nil {
			r.add("part %d is number %d and %s", i, part.No, part.Status)
			return nil
		}
		same(r, fmt.Sprintf("first row of part %d", i), part.FirstRow, next)
		if i > 0 {
			same(r, fmt.Sprintf("first byte of part %d", i), part.Offset, offset)
		}
		same(r, fmt.Sprintf("scored and rejected rows of part %d", i), *part.Good+*part.Refuse, *part.Rows)
		next, offset = next+*part.Rows, part.Offset+*part.Bytes
		good, refused = good+*part.Good, refused+*part.Refuse
	}
	same(r, "rows of all parts", next-1, want.rows)
	same(r, "scored rows of all parts", good, p.Scored)
	same(r, "rejected rows of all parts", refused, p.Rejected)
	return nil
}

// verifyBlocks compares the stored rows with the result file, one by one.
func (c *Checker) verifyBlocks(ctx context.Context, r *report, p *Prediction, want *expected) error {
	type block struct {
		First       int64
		N           int
		Offset      []int64
		Customer    []string
		Probability []float32
		Band        []int16
	}
	rows, err := c.db.Query(ctx, `
		SELECT first_row, n, row_offset, coalesce(customer_id, string_to_array(customer_ids, E'\x1f', '')), probability,
		       coalesce(risk_band, ARRAY(SELECT get_byte(risk_bands, i) FROM generate_series(0, length(risk_bands) - 1) i))
		FROM prediction_blocks WHERE prediction_id = $1 ORDER BY first_row`, p.ID)
	if err != nil {
		return fmt.Errorf("read blocks: %w", err)
	}
	blocks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[block])
	if err != nil {
		return fmt.Errorf("read blocks: %w", err)
	}
	var stored []scoredRow
	for _, b := range blocks {
		if len(b.Customer) != b.N || len(b.Probability) != b.N || len(b.Band) != b.N ||
			b.Offset != nil && len(b.Offset) != b.N {
			r.add("block %d of %d rows has lists of other lengths", b.First, b.N)
			return nil
		}
		for i := range b.N {
			no := b.First + int64(i)
			if b.Offset != nil {
				no = b.First + b.Offset[i]
			}
			stored = append(stored, scoredRow{no, b.Customer[i], b.Probability[i], b.Band[i]})
		}
	}
	seen := map[int64]int{}
	for _, row := range stored {
		seen[row.no]++
	}
	lost, double := 0, 0
	for _, row := range want.scored {
		if seen[row.no] == 0 {
			lost++
		}
	}
	for _, n := range seen {
		double += n - 1
	}
	if lost > 0 || double > 0 {
		r.add("%d rows lost, %d rows stored more than once", lost, double)
	}
	if !slices.Equal(stored, want.scored) {
		r.add("%d stored rows are not the %d of the result", len(stored), len(want.scored))
	}
	return nil
}
