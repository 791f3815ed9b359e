package engine

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/engine/forest"
)

const (
	// leaves scores the first checkedFirst rows of an input and checkedSpread rows spread over the rest.
	checkedFirst, checkedSpread = 64, 64
	// checkedStride is the distance in rows between checked rows when the length of the input is not known.
	checkedStride = 256
)

// DifferenceError reports that leaves and the compiled engine give different scores. The results so far must be
// discarded and the input scored again with [ScorerWalker].
type DifferenceError struct {
	Checked   int // rows of one chunk that both engines scored
	Differing int
	Err       error // error of leaves, if it failed; then all rows count as differing
}

func (e *DifferenceError) Error() string {
	text := fmt.Sprintf("leaves scores %d of %d checked rows differently", e.Differing, e.Checked)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *DifferenceError) Unwrap() error { return e.Err }

// checkWorker scores a sample of one worker's rows with leaves. The sample depends on the row numbers alone.
type checkWorker struct {
	leaves  *forest.Leaves
	first   int64 // number of the input's first row
	stride  int64
	columns []forest.Column // scratch: the checked rows
	picked  []int32         // scratch: their positions in the batch
	raw     []float64       // scratch: their scores by the compiled engine
}

// newCheckWorker returns nil if checking is off or leaves does not support the model.
func (b *Bundle) newCheckWorker(in Input, opt Options) *checkWorker {
	if !opt.Check || b.leaves == nil || opt.Scorer != ScorerCompiled && opt.Scorer != "" {
		return nil
	}
	stride := int64(checkedStride)
	if in.Rows > 0 {
		stride = max(1, (in.Rows-checkedFirst)/checkedSpread)
	}
	return &checkWorker{
		leaves: b.leaves, first: in.Start.Row, stride: stride, columns: make([]forest.Column, len(b.features)),
	}
}

// compare scores the sample of a batch with leaves, compares it with raw, the batch's scores, and returns the sample's
// size. The error is a *DifferenceError if any score differs.
func (c *checkWorker) compare(rec arrow.Record, rows forest.Rows, raw []float64) (int, error) {
	c.pick(rec.Column(0).(*array.Int64).Int64Values())
	checked := len(c.picked)
	if checked == 0 {
		return 0, nil
	}
	c.raw = gatherCells(c.raw, raw, c.picked)
	differing, err := c.leaves.Differing(c.raw, gatherRows(c.columns, rows, c.picked))
	if err != nil {
		differing = checked
	}
	if differing > 0 {
		return checked, &DifferenceError{Checked: checked, Differing: differing, Err: err}
	}
	return checked, nil
}

// pick finds the positions of the checked rows; numbers are the batch's row numbers, ascending.
func (c *checkWorker) pick(numbers []int64) {
	c.picked = c.picked[:0]
	for i, number := range numbers {
		if c.checks(number - c.first) {
			c.picked = append(c.picked, int32(i))
		}
	}
}

// checks reports whether leaves scores the n-th row of the input, counted from 0.
func (c *checkWorker) checks(n int64) bool {
	n -= checkedFirst
	return n < 0 || n%c.stride == 0 && n/c.stride < checkedSpread
}
