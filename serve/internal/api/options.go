package api

import (
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
)

// optionsParams reads the parameters that are stored as a prediction's options: the error budget and ?guard=.
func (r *request) optionsParams() (o plan.PredictionOptions, err error) {
	if o.Budget, err = r.budgetParams(); err != nil {
		return o, err
	}
	off, err := r.guardParam()
	if off {
		o.Guard = plan.GuardOff
	}
	return o, err
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
