package engine

import (
	"fmt"
	"strconv"
)

// budgetRowsMin is how many rows must have been read before the percentage counts: else the first bad row ends every
// file.
const budgetRowsMin = 1000

// Budget says how many rows may be rejected before a file is given up. A nil limit is off.
type Budget struct {
	MaxRejected        *int64   `json:"max_rejected,omitempty"`
	MaxRejectedPercent *float64 `json:"max_rejected_percent,omitempty"`
}

// BudgetError is a file with more rejected rows than its [Budget] allows.
type BudgetError struct {
	Budget
	Rows, Rejected int64 // so far
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("%d of %d rows rejected: more than %s", e.Rejected, e.Rows, e.Limit())
}

// Limit names the limit that was passed: "100" or "5 %".
func (e *BudgetError) Limit() string {
	if e.MaxRejected != nil {
		return strconv.FormatInt(*e.MaxRejected, 10)
	}
	return strconv.FormatFloat(*e.MaxRejectedPercent, 'f', -1, 64) + " %"
}

// Check returns a [*BudgetError] that has the limit passed, if one is.
func (b Budget) Check(t *Tally) error {
	if b.MaxRejected != nil && t.Rejected > *b.MaxRejected {
		return &BudgetError{Budget{MaxRejected: b.MaxRejected}, t.Rows, t.Rejected}
	}
	if b.MaxRejectedPercent != nil && t.Rows >= budgetRowsMin &&
		float64(t.Rejected)*100 > *b.MaxRejectedPercent*float64(t.Rows) {
		return &BudgetError{Budget{MaxRejectedPercent: b.MaxRejectedPercent}, t.Rows, t.Rejected}
	}
	return nil
}
