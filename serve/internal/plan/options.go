package serve

import (
	"encoding/json"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// databaseTimeout bounds the steps behind a long body.
const databaseTimeout = 15 * time.Second

// internalOptions marks work of our own, which is in no statistics.
var internalOptions = json.RawMessage(`{"internal":true}`)

// internal says that a prediction's options mark it as our own. Customers cannot set them.
func internal(options json.RawMessage) bool {
	var o struct {
		Internal bool `json:"internal"`
	}
	return json.Unmarshal(options, &o) == nil && o.Internal
}

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
