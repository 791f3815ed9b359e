package plan

import (
	"encoding/json"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
)

// DatabaseTimeout bounds the database calls that follow a long body.
const DatabaseTimeout = 15 * time.Second

// InternalOptions marks a prediction as internal: the canary's, which no statistic counts.
var InternalOptions = json.RawMessage(`{"internal":true}`)

// Internal reports whether a prediction's options are [InternalOptions]. Customers cannot set them.
func Internal(options json.RawMessage) bool {
	var o struct {
		Internal bool `json:"internal"`
	}
	return json.Unmarshal(options, &o) == nil && o.Internal
}

// PredictionOptions are stored with a prediction, as JSON, for its workers.
type PredictionOptions struct {
	engine.Budget
	// Guard is "off" for files that only machines read. It is chosen at the upload because the result is stored once, and
	// an apostrophe that the guard has added cannot be distinguished from one of the file.
	Guard string `json:"guard,omitempty"`
	// ExperimentGroup labels the rows that are kept for retraining.
	ExperimentGroup string `json:"experiment_group,omitempty"`
	// NumberStyle is how the file writes numbers: what the upload states, and, from the planning on, what was decided.
	NumberStyle ingest.NumberStyle `json:"number_style,omitzero"`
}

// Unguarded reports whether the guard against spreadsheet formulas is off.
func (o PredictionOptions) Unguarded() bool { return o.Guard == GuardOff }

// Values of ?guard= and of the Csv-Guard header.
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

// OptionsOf decodes the options of a prediction.
func OptionsOf(p store.Prediction) (o PredictionOptions, err error) {
	return o, UnmarshalOptions(p.Options, &o)
}

// UnmarshalOptions decodes options into o; empty text leaves o as it is.
func UnmarshalOptions(text json.RawMessage, o *PredictionOptions) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, o)
}
