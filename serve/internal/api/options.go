package api

import (
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
)

// optionsParams reads what an upload says beside its file.
func (r *request) optionsParams() (o plan.PredictionOptions, err error) {
	if o.Budget, err = r.budgetParams(); err != nil {
		return o, err
	}
	if o.NumberStyle, err = r.numberParams(); err != nil {
		return o, err
	}
	off, err := r.guardParam()
	if off {
		o.Guard = plan.GuardOff
	}
	return o, err
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

// guardParam reads ?guard=.
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

// tellGuard says whether cells of the answer were kept from being taken for formulas.
func (r *request) tellGuard(off bool) {
	if off {
		r.set("Csv-Guard", plan.GuardOff)
		return
	}
	r.set("Csv-Guard", plan.GuardOn)
}
