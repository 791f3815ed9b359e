package api

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
)

// optionsParams reads the parameters that are stored as a prediction's options: the error budget, how numbers are written,
// what is checked of the whole file, and ?guard=.
func (r *request) optionsParams() (o plan.PredictionOptions, err error) {
	if o.Budget, err = r.budgetParams(); err != nil {
		return o, err
	}
	if o.NumberStyle, err = r.numberParams(); err != nil {
		return o, err
	}
	if o.ColumnCheck, err = r.columnCheckParam(); err != nil {
		return o, err
	}
	if o.AllowRejects, err = r.allowRejectsParam(); err != nil {
		return o, err
	}
	off, err := r.guardParam()
	if off {
		o.Guard = plan.GuardOff
	}
	return o, err
}

// columnCheckParam reads ?column_check=; empty if it is not given.
func (r *request) columnCheckParam() (engine.ColumnCheck, error) {
	given := r.query["column_check"]
	if given == "" || slices.Contains(engine.ColumnChecks, given) {
		return engine.ColumnCheck(given), nil
	}
	return "", fault.Fail(fault.CodeInvalidValue, "'column_check' must be off, warn or fail.").
		With(fault.Details{"field": "column_check", "expected": engine.ColumnChecks})
}

// allowRejectsParam reads ?allow_rejects=.
func (r *request) allowRejectsParam() (bool, error) {
	switch r.query["allow_rejects"] {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fault.Fail(fault.CodeInvalidValue, "'allow_rejects' must be true or false.").
		With(fault.Details{"field": "allow_rejects", "expected": []string{"true", "false"}})
}

// explainParam reads ?explain=.
func (r *request) explainParam() (engine.Explain, error) {
	switch given := engine.Explain(r.query["explain"]); given {
	case "":
		return engine.ExplainAll, nil
	case engine.ExplainAll, engine.ExplainAtRisk, engine.ExplainNone:
		return given, nil
	}
	return "", fault.Fail(fault.CodeInvalidValue, "'explain' must be all, at_risk or none.").
		With(fault.Details{"field": "explain", "expected": []string{"all", "at_risk", "none"}})
}

// budgetParams reads ?max_rejected= and ?max_rejected_percent=.
func (r *request) budgetParams() (b engine.Budget, err error) {
	if text := r.query["max_rejected"]; text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return b, fault.Fail(fault.CodeInvalidValue, "'max_rejected' must be a whole number of rows.").
				With(fault.Details{"field": "max_rejected"})
		}
		b.MaxRejected = &n
	}
	if text := r.query["max_rejected_percent"]; text != "" {
		share, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(share) {
			return b, fault.Fail(fault.CodeInvalidValue, "'max_rejected_percent' must be a number.").
				With(fault.Details{"field": "max_rejected_percent"})
		}
		if share < 0 || share > 100 {
			return b, outOfRange("max_rejected_percent", 0, 100)
		}
		b.MaxRejectedPercent = &share
	}
	return b, nil
}

// numberParams reads ?decimal= and ?thousands=.
func (r *request) numberParams() (ingest.NumberStyle, error) {
	style, err := ingest.ParseNumberStyle(r.query["decimal"], r.query["thousands"])
	if err != nil {
		return style, fault.Fail(fault.CodeInvalidValue, "'decimal' must be a point or a comma, and 'thousands' another sign: "+
			"a point, a comma, space, apostrophe or none.").With(fault.Details{"field": "decimal"})
	}
	return style, nil
}

// guardParam reads ?guard=, the guard against spreadsheet formulas.
func (r *request) guardParam() (off bool, err error) {
	switch r.query["guard"] {
	case "", plan.GuardOn:
		return false, nil
	case plan.GuardOff:
		return true, nil
	}
	return false, fault.Fail(fault.CodeInvalidValue, "'guard' must be on or off.").
		With(fault.Details{"field": "guard", "expected": []string{plan.GuardOn, plan.GuardOff}})
}

// setGuardHeader sets the Csv-Guard header: whether cells that look like formulas are escaped.
func (r *request) setGuardHeader(off bool) {
	if off {
		r.set("Csv-Guard", plan.GuardOff)
		return
	}
	r.set("Csv-Guard", plan.GuardOn)
}

func outOfRange(field string, least, most int) *fault.Failure {
	return fault.Fail(fault.CodeOutOfRange, fmt.Sprintf("'%s' must be between %d and %d.", field, least, most)).
		With(fault.Details{"field": field, "expected": []int{least, most}})
}
