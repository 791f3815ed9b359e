package engine

import (
	"errors"
	"fmt"

	"github.com/retainwise/millrace/engine/forest"
)

// What can be wrong with a model or a bundle, as far as callers branch on it. ErrManifest and ErrGolden are beside
// their checks.
var (
	// ErrModelUnsupported is a model file in a format, or with a feature, that is not supported, or a damaged one.
	ErrModelUnsupported = errors.New("model not supported")
	// ErrModelLimits is a model beyond the limits on trees, nodes or bytes.
	ErrModelLimits = errors.New("model beyond limits")
	// ErrModelColumns is a bundle that does not describe the columns of its model.
	ErrModelColumns = errors.New("columns differ from the model")
)

// modelError gives an error of package forest its meaning here.
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

// ReadForest reads a model file; name is the file's name.
func ReadForest(name string, model []byte) (*forest.Forest, error) {
	f, err := forest.Read(name, model, forest.Limits{})
	if err != nil {
		return nil, modelError(err)
	}
	return f, nil
}

// CheckForest runs every scorer that a forest has over probe rows made from its own thresholds and compares them.
// noLeaves says why leaves was not among them; nil if it was.
func CheckForest(f *forest.Forest) (noLeaves, err error) {
	compiled, err := forest.Compile(f)
	if err != nil {
		return nil, modelError(err)
	}
	leaves, err := forest.NewLeaves(f)
	if err != nil {
		noLeaves = modelError(err)
	}
	if err := forest.SelfCheck(f, leaves, compiled.NewScorer()); err != nil {
		return noLeaves, modelError(err)
	}
	return noLeaves, nil
}
