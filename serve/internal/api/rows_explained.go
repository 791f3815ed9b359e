package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

const (
	// explainedRowsMax is the largest page with explanations: its rows may lie anywhere in the file.
	explainedRowsMax = 100
	// explainedBytesMax is how many bytes of the result one page may read.
	explainedBytesMax = 16 << 20
	// rangeGapMax is the largest gap between two rows that are read in one request, and rangeBytesMax the largest such
	// request.
	rangeGapMax, rangeBytesMax = 32 << 10, 1 << 20
	// rangesAtOnce bounds the concurrent requests of one page.
	rangesAtOnce = 8
)

// rowReasons explain the score of a row; null if it was not explained.
type rowReasons struct {
	Risk        json.RawMessage `json:"risk_factors"`
	Protective  json.RawMessage `json:"protective_factors"`
	Explanation *string         `json:"explanation"`
}

// reasonsParam reads ?explain= of a page of rows.
func (r *request) reasonsParam() (bool, error) {
	switch r.query["explain"] {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fault.Fail(fault.CodeInvalidValue, "'explain' must be true or false.").
		With(fault.Details{"field": "explain", "expected": []string{"true", "false"}})
}

// explainRows reads the explanations of rows from the result file, by range requests.
func (s *server) explainRows(r *request, p store.Prediction, rows []rowView) error {
	ctx := r.ctx
	if f := notReady(p, p.ResultKey); f != nil {
		return f
	}
	if len(rows) == 0 {
		return nil
	}
	options, err := plan.OptionsOf(p)
	if err != nil {
		return err
	}
	numbers := make([]int64, len(rows))
	for i := range rows {
		numbers[i] = rows[i].Row
	}
	header, ranges, err := s.Store.Predictions.ResultRows(ctx, p.UserID, p.ID, numbers)
	if errors.Is(err, store.ErrNoResultRows) {
		return fault.Fail(fault.CodeWrongState, "This prediction was made before explanations could be shown row by row. "+
			"They are in the downloaded file.").Because(err)
	}
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	total := int64(0)
	for _, piece := range ranges {
		total += piece.Length
	}
	if total > explainedBytesMax {
		return fault.Fail(fault.CodeOutOfRange, "These rows are too long to be explained in one page. Ask for fewer.").
			With(fault.Details{"field": "limit", "limit": explainedBytesMax, "unit": "bytes"})
	}
	file, err := s.Store.Predictions.File(ctx, p, objects.ResultName)
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	blocks := int((total + place.BlockBytes - 1) / place.BlockBytes)
	if err := r.memory().Grow(ctx, blocks); err != nil {
		return err
	}
	defer r.memory().Shrink(blocks)
	text, err := s.readRanges(ctx, file, slices.Insert(ranges, 0, header))
	if err != nil {
		return s.readFailure(ctx, err)
	}
	table := wire.StoredTable{Text: bytes.NewReader(text), Own: wire.ResultColumns, Guarded: !options.Unguarded()}
	if err := readReasons(table, rows); err != nil { // the service has written the file: no fault of the customer
		return fault.Fail(fault.CodeInternal, "").Because(err)
	}
	return nil
}

// readRanges reads ranges of a result and concatenates them. Neighbouring ranges are read in one request.
func (s *server) readRanges(ctx context.Context, f store.File, ranges []objects.Range) ([]byte, error) {
	pieces := make([][]byte, len(ranges))
	groups := neighbours(ranges)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	slots := make(chan struct{}, rangesAtOnce)
	var reads sync.WaitGroup
	for _, group := range groups {
		slots <- struct{}{}
		reads.Go(func() {
			defer func() { <-slots }()
			err := fault.Recover(func() error { return s.readGroup(ctx, f, ranges, group, pieces) })
			if err != nil {
				fail(err)
			}
		})
	}
	reads.Wait()
	return slices.Concat(pieces...), context.Cause(ctx)
}

// neighbours groups ranges, named by their index, in the order of the file.
func neighbours(ranges []objects.Range) (groups [][]int) {
	order := make([]int, len(ranges))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(ranges[a].Offset - ranges[b].Offset) })
	begin, end := int64(0), int64(0)
	for _, i := range order {
		r := ranges[i]
		if len(groups) == 0 || r.Offset-end > rangeGapMax || r.Offset+r.Length-begin > rangeBytesMax {
			groups, begin = append(groups, nil), r.Offset
		}
		last := len(groups) - 1
		groups[last], end = append(groups[last], i), r.Offset+r.Length
	}
	return groups
}

// readGroup reads the ranges of a group, which are in the order of the file, into their pieces.
func (s *server) readGroup(
	ctx context.Context, f store.File, ranges []objects.Range, group []int, pieces [][]byte,
) error {
	first, last := ranges[group[0]], ranges[group[len(group)-1]]
	span := objects.Range{Offset: first.Offset, Length: last.Offset + last.Length - first.Offset}
	body, err := s.readFile(ctx, objects.ResultName, f, span)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	text := make([]byte, span.Length)
	if _, err := io.ReadFull(body, text); err != nil {
		return err
	}
	for _, i := range group {
		from := ranges[i].Offset - span.Offset
		pieces[i] = text[from : from+ranges[i].Length]
	}
	return nil
}

// readReasons sets the explanations of rows from a result file of only these rows. A different score is an error: it is
// another row.
func readReasons(stored wire.StoredTable, rows []rowView) error {
	table, columns, err := stored.Open()
	if err != nil {
		return err
	}
	for i := range rows {
		cells, err := table.Next()
		if err != nil {
			return fmt.Errorf("read row %d of the result: %w", rows[i].Row, err)
		}
		if len(cells) != len(columns) {
			return fmt.Errorf("row %d of the result has %d cells", rows[i].Row, len(cells))
		}
		own := cells[len(cells)-len(wire.ResultColumns):]
		if score, err := strconv.ParseFloat(string(own[0]), 32); err != nil || float32(score) != rows[i].Probability {
			return fmt.Errorf("row %d of the result has another score", rows[i].Row)
		}
		rows[i].rowReasons = &rowReasons{Risk: jsonCell(own[2]), Protective: jsonCell(own[3])}
		if len(own[4]) > 0 {
			rows[i].Explanation = Optional(string(own[4]))
		}
	}
	return nil
}

// jsonCell copies a cell that holds JSON; an empty one is null.
func jsonCell(cell []byte) json.RawMessage {
	if len(cell) == 0 {
		return nil
	}
	return slices.Clone(cell)
}
