package engine

import (
	"fmt"
	"strconv"
)

// budgetRowsMin is the number of rows below which the percentage is not checked; otherwise an early bad row would end
// every file.
const budgetRowsMin = 1000

// Budget limits the rejected rows of a file. Nil disables a limit.
type Budget struct {
	MaxRejected        *int64   `json:"max_rejected,omitempty"`
	MaxRejectedPercent *float64 `json:"max_rejected_percent,omitempty"`
}

// BudgetError reports that a file has more rejected rows than its [Budget] allows. Budget holds the exceeded limit
// only.
type BudgetError struct {
	Budget
	Rows, Rejected int64 // up to the chunk that exceeded the limit
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("%d of %d rows rejected: more than %s", e.Rejected, e.Rows, e.Limit())
}

// Limit formats the exceeded limit: "100" or "5 %".
func (e *BudgetError) Limit() string {
	if e.MaxRejected != nil {
		return strconv.FormatInt(*e.MaxRejected, 10)
	}
	return strconv.FormatFloat(*e.MaxRejectedPercent, 'f', -1, 64) + " %"
}

// Check returns a [*BudgetError] if the counts of t exceed a limit, nil otherwise.
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

// FewScoredError reports that fewer than half of a file's rows could be scored.
type FewScoredError struct{ Rows, Scored int64 }

func (e *FewScoredError) Error() string {
	return fmt.Sprintf("only %d of %d rows could be scored", e.Scored, e.Rows)
}

// CheckScored returns a [*FewScoredError] if fewer than half of the rows were scored and b limits nothing: a limit says how
// many rejects are allowed. t must be the tally of a whole file.
func (b Budget) CheckScored(t *Tally) error {
	if b == (Budget{}) && 2*t.Scored < t.Rows {
		return &FewScoredError{t.Rows, t.Scored}
	}
	return nil
}
