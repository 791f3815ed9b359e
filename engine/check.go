package engine

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/engine/forest"
)

const (
	// checkedFirst is how many rows at the beginning of an input leaves scores too, checkedSpread how many of the rest.
	checkedFirst, checkedSpread = 64, 64
	// checkedStride is the distance of the latter in an input whose rows are not known before it is read.
	checkedStride = 256
)

// DifferenceError says that leaves scores rows differently than the compiled engine did. What was scored must not be
// used: the input is to be scored again with ScorerWalker.
type DifferenceError struct {
	Checked   int // rows of one chunk that both scored
	Differing int
	Err       error // why leaves failed, if it did; then all rows count as differing
}

func (e *DifferenceError) Error() string {
	text := fmt.Sprintf("leaves scores %d of %d checked rows differently", e.Differing, e.Checked)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *DifferenceError) Unwrap() error { return e.Err }

// checkWorker has leaves score some rows of one worker's batches. Which ones depends on their numbers alone: the first
// of the input, and as many spread over the rest.
type checkWorker struct {
	leaves  *forest.Leaves
	first   int64 // number of the input's first row
	stride  int64
	columns []forest.Column // scratch: the checked rows
	picked  []int32         // scratch: their places in the batch
	raw     []float64       // scratch: what the compiled engine says
}

// newCheckWorker is nil where nothing is to be checked, or leaves cannot hold the model.
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

// compare returns a *DifferenceError if leaves disagrees with raw, the scores of a batch, and how many rows it scored.
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

// pick finds the places of the checked rows; numbers are those of the batch's rows, ascending.
func (c *checkWorker) pick(numbers []int64) {
	c.picked = c.picked[:0]
	for i, number := range numbers {
		if c.checks(number - c.first) {
			c.picked = append(c.picked, int32(i))
		}
	}
}

// checks says whether leaves scores the n-th row of the input, counted from 0.
func (c *checkWorker) checks(n int64) bool {
	n -= checkedFirst
	return n < 0 || n%c.stride == 0 && n/c.stride < checkedSpread
}
