package serve

// optionsParams reads what an upload says beside its file.
func (r *request) optionsParams() (o predictionOptions, err error) {
	if o.Budget, err = r.budgetParams(); err != nil {
		return o, err
	}
	off, err := r.guardParam()
	if off {
		o.Guard = guardOff
	}
	return o, err
}

// guardParam reads ?guard=.
func (r *request) guardParam() (off bool, err error) {
	switch r.query["guard"] {
	case "", guardOn:
		return false, nil
	case guardOff:
		return true, nil
	}
	return false, fail(CodeInvalidValue, "'guard' must be on or off.").
		with(details{"field": "guard", "expected": []string{guardOn, guardOff}})
}

// tellGuard says whether cells of the answer were kept from being taken for formulas.
func (r *request) tellGuard(off bool) {
	if off {
		r.set("Csv-Guard", guardOff)
		return
	}
	r.set("Csv-Guard", guardOn)
}
