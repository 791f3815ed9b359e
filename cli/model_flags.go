package cli

import (
	"math"
	"strconv"
	"strings"

	"github.com/retainwise/millrace/engine"
)

// modelFlags say what a bare model file does not: which columns of the file have a purpose beside the model's.
type modelFlags struct {
	ID    string `name:"id" help:"Column with the customer's id, for a bare model file." placeholder:"COLUMN"`
	Value string `help:"Column with the revenue at stake per customer, for a bare model file." placeholder:"COLUMN"`
	Bands string `help:"Risk bands of a bare model file, as names with their upper bounds (default: low=0.3,medium=0.6,high)." placeholder:"NAME=BOUND,…,NAME"`
}

// open opens the value of --model with the iterations that count and what the flags add. label names a column with the outcome; empty: none.
func (f modelFlags) open(model, iterations, label string) (*engine.Bundle, error) {
	if f != (modelFlags{}) && !IsFile(model) {
		return nil, Usage("--id, --value and --bands are for bare model files: a bundle describes them itself")
	}
	bands, err := parseBands(f.Bands)
	if err != nil {
		return nil, err
	}
	b, err := openModelIterations(model, iterations)
	if err != nil || f == (modelFlags{}) && label == "" {
		return b, err
	}
	if b, err = b.With(engine.Additions{ID: f.ID, Value: f.Value, Label: label, Bands: bands}); err != nil {
		return nil, Usage("--%v", err)
	}
	return b, nil
}

// parseBands reads "low=0.3,medium=0.6,high"; nil if the text is empty.
func parseBands(text string) ([]engine.Band, error) {
	if text == "" {
		return nil, nil
	}
	var bands []engine.Band
	seen := map[string]bool{}
	entries := strings.Split(text, ",")
	for i, entry := range entries {
		name, bound, bounded := strings.Cut(strings.TrimSpace(entry), "=")
		band := engine.Band{Name: name, Below: math.Inf(1)}
		if last := i == len(entries)-1; last == bounded || seen[name] {
			return nil, Usage("--bands %s: every band but the last needs a bound, and a name of its own: "+
				"low=0.3,medium=0.6,high", text)
		}
		if bounded {
			below, err := strconv.ParseFloat(bound, 64)
			if err != nil || !(below > 0 && below < 1) {
				return nil, Usage("--bands %s: %s is not a probability between 0 and 1", text, bound)
			}
			band.Below = below
		}
		seen[name] = true
		bands = append(bands, band)
	}
	return bands, nil
}
