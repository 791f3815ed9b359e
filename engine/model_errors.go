package engine

import (
	"errors"
	"fmt"

	"github.com/retainwise/millrace/engine/forest"
)

// Errors of models and bundles that callers distinguish; see also [ErrManifest] and [ErrGolden].
var (
	// ErrModelUnsupported reports a model file that is damaged, or has an unsupported format or feature.
	ErrModelUnsupported = errors.New("model not supported")
	// ErrModelLimits reports a model with too many trees, nodes or bytes.
	ErrModelLimits = errors.New("model beyond limits")
	// ErrModelColumns reports a bundle that does not describe all features of its model.
	ErrModelColumns = errors.New("columns differ from the model")
)

// modelError wraps an error of package forest in the matching error of this package.
func modelError(err error) error {
	var e *forest.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case forest.KindLimits:
		return fmt.Errorf("%w: %w", ErrModelLimits, err)
	case forest.KindSelfCheck:
		return fmt.Errorf("%w: %w", ErrGolden, err)
	}
	return fmt.Errorf("%w: %w", ErrModelUnsupported, err)
}

// ReadForest parses a model file. name is the file's name. Errors wrap [ErrModelUnsupported] or [ErrModelLimits].
func ReadForest(name string, model []byte) (*forest.Forest, error) {
	f, err := forest.Read(name, model, forest.Limits{})
	if err != nil {
		return nil, modelError(err)
	}
	return f, nil
}

// CheckForest compares all scorers of a forest on probe rows made from its own thresholds. leavesErr is the reason if
// the leaves library does not support the forest and was left out, nil otherwise. The error wraps [ErrGolden] if scores
// differ.
func CheckForest(f *forest.Forest) (leavesErr, err error) {
	compiled, err := forest.Compile(f)
	if err != nil {
		return nil, modelError(err)
	}
	leaves, err := forest.NewLeaves(f)
	if err != nil {
		leavesErr = modelError(err)
	}
	if err := forest.SelfCheck(f, leaves, compiled.NewScorer()); err != nil {
		return leavesErr, modelError(err)
	}
	return leavesErr, nil
}
