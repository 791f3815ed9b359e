package serve

import (
	"encoding/json"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// predictionOptions are kept with a prediction for its workers.
type predictionOptions struct {
	engine.Budget
	// Guard is "off" for files that machines read. It is chosen at the upload, because a result is stored once, in the
	// form in which ranges of it are served; an apostrophe that was put in cannot be told from one that was there.
	Guard string `json:"guard,omitempty"`
	// ExperimentGroup is what rows that are kept for retraining are marked with.
	ExperimentGroup string `json:"experiment_group,omitempty"`
}

func (o predictionOptions) unguarded() bool { return o.Guard == guardOff }

const (
	guardOn  = "on"
	guardOff = "off"
)

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

// optionsOf reads the options of a prediction.
func optionsOf(p store.Prediction) (o predictionOptions, err error) {
	return o, unmarshalOptions(p.Options, &o)
}

func unmarshalOptions(text json.RawMessage, o *predictionOptions) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, o)
}

// tellGuard says whether cells of the answer were kept from being taken for formulas.
func (r *request) tellGuard(off bool) {
	if off {
		r.set("Csv-Guard", guardOff)
		return
	}
	r.set("Csv-Guard", guardOn)
}
