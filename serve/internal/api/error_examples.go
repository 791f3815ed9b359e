package api

import (
	"encoding/json"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
)

// exampleOf returns an example with the code: an error answer, a rejected row, a warning, or the error of a prediction; nil
// for codes that customers do not see.
func exampleOf(p fault.ErrorPages, m fault.Meaning) (json.RawMessage, error) {
	var v any
	switch code := m.Code; {
	case code >= 1600 && code < 1650:
		v = finding{Row: 2, Line: 3, Code: code.String(), Column: exampleColumn, Message: m.Message}
	case code >= 1650 && code < 1700, code == fault.CodeScoredAgain:
		v = warning{Code: code.String(), Count: 12, Column: exampleColumn, Message: m.Message}
	case m.Status != 0:
		v = fault.ErrorBody{Error: p.Object(exampleFailure(code)), RequestID: exampleRequest, Retryable: m.Retryable}
	case code < 1700:
		v = p.Object(exampleFailure(code))
	default:
		return nil, nil
	}
	return json.MarshalIndent(v, "", "  ")
}

const (
	exampleColumn  = "tenure"
	exampleRequest = "54e3d80f-02d8-46e4-86bd-96f10d98501a"
)

// exampleFailure returns a failure with the code: for errors of a file with the sentence and the details that a customer
// sees, for others with the code's own sentence.
func exampleFailure(code fault.Code) *fault.Failure {
	var err error
	rejectedMax := int64(100)
	switch code {
	case fault.CodeMissingColumns:
		err = &ingest.MissingColumnsError{Columns: []ingest.MissingColumn{{
			Name: "MonthlyCharges", Label: "monthly charges", Closest: "monthly_fee",
		}}}
	case fault.CodeUnreadableHeader:
		err = &ingest.DuplicateColumnError{Name: exampleColumn, Fields: [2]int{5, 9}}
	case fault.CodeBadQuoting:
		err = &ingest.QuoteError{Line: 12, Unclosed: true}
	case fault.CodeRowTooLong:
		err = &ingest.RowTooLongError{Line: 12, Limit: 1 << 20}
	case fault.CodeTooLarge:
		err = &ingest.TooLargeError{Unit: "rows", Limit: 100_000}
	case fault.CodeErrorBudgetSpent:
		err = &engine.BudgetError{Budget: engine.Budget{MaxRejected: &rejectedMax}, Rows: 5_000, Rejected: 101}
	default:
		return fault.Fail(code, "")
	}
	return fault.Explain(err)
}
