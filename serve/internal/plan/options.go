package plan

import (
	"encoding/json"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
)

// DatabaseTimeout bounds the steps behind a long body.
const DatabaseTimeout = 15 * time.Second

// InternalOptions marks work of our own, which is in no statistics.
var InternalOptions = json.RawMessage(`{"internal":true}`)

// Internal says that a prediction's options mark it as our own. Customers cannot set them.
func Internal(options json.RawMessage) bool {
	var o struct {
		Internal bool `json:"internal"`
	}
	return json.Unmarshal(options, &o) == nil && o.Internal
}

// PredictionOptions are kept with a prediction for its workers.
type PredictionOptions struct {
	engine.Budget
	// Guard is "off" for files that machines read. It is chosen at the upload, because a result is stored once, in the
	// form in which ranges of it are served; an apostrophe that was put in cannot be told from one that was there.
	Guard string `json:"guard,omitempty"`
	// ExperimentGroup is what rows that are kept for retraining are marked with.
	ExperimentGroup string `json:"experiment_group,omitempty"`
	// NumberStyle is how the file writes numbers: what the upload states, and, from the planning on, what was decided.
	NumberStyle ingest.NumberStyle `json:"number_style,omitzero"`
}

func (o PredictionOptions) Unguarded() bool { return o.Guard == GuardOff }

const (
	GuardOn  = "on"
	GuardOff = "off"
)

// DecideNumbers decides from the front of a planned file how its numbers are written, so that every part is read alike.
func (o *PredictionOptions) DecideNumbers(p *ingest.Planner, b *engine.Bundle) error {
	m, err := ingest.Map(b.Schema(), p.Header())
	if err != nil {
		return err
	}
	sample, err := p.Sample()
	if err != nil {
		return err
	}
	o.NumberStyle, err = m.DecideNumbers(sample, o.NumberStyle)
	return err
}

// OptionsOf reads the options of a prediction.
func OptionsOf(p store.Prediction) (o PredictionOptions, err error) {
	return o, UnmarshalOptions(p.Options, &o)
}

func UnmarshalOptions(text json.RawMessage, o *PredictionOptions) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, o)
}
