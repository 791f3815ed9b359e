package plan

import (
	"cmp"
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
	// Guard is "off" for files that only machines read. It is chosen at the upload because the result is stored once: byte
	// ranges of a download are those of the stored file.
	Guard string `json:"guard,omitempty"`
	// ExperimentGroup labels the rows that are kept for retraining.
	ExperimentGroup string `json:"experiment_group,omitempty"`
	// NumberStyle is how the file writes numbers: what the upload states, and, from the planning on, what was decided.
	NumberStyle ingest.NumberStyle `json:"number_style,omitzero"`
	// ColumnCheck is what becomes of a file with a useless column; empty: it fails.
	ColumnCheck engine.ColumnCheck `json:"column_check,omitempty"`
	// AllowRejects publishes the result of a file of which fewer than half of the rows could be scored.
	AllowRejects bool `json:"allow_rejects,omitempty"`
}

// Unguarded reports whether the guard against spreadsheet formulas is off.
func (o PredictionOptions) Unguarded() bool { return o.Guard == GuardOff }

// Values of ?guard= and of the Csv-Guard header.
const (
	GuardOn  = "on"
	GuardOff = "off"
)

// Columns returns what becomes of a stored file with a useless column.
func (o PredictionOptions) Columns() engine.ColumnCheck {
	return cmp.Or(o.ColumnCheck, engine.ColumnCheckFail)
}

// CheckFile returns an error of the whole file, of which all parts have been scored: too many rejected rows, too many
// numbers in another style, a useless column, or too few rows scored.
func (o PredictionOptions) CheckFile(t *engine.Tally) error {
	err := cmp.Or(o.Check(t), t.CheckNumbers(), t.CheckColumns(o.Columns()))
	if err == nil && !o.AllowRejects {
		err = o.CheckScored(t)
	}
	return err
}

// CheckFront decides from the front of a planned file how its numbers are written, so that every part is read alike, and
// returns an error if it has a useless column.
func (o *PredictionOptions) CheckFront(p *ingest.Planner, b *engine.Bundle) error {
	m, err := ingest.Map(b.Schema(), p.Header())
	if err != nil {
		return err
	}
	sample, err := p.Sample()
	if err != nil {
		return err
	}
	if o.NumberStyle, err = m.DecideNumbers(sample, o.NumberStyle); err != nil {
		return err
	}
	return b.CheckSample(p.Header(), sample, o.NumberStyle, o.Columns())
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
