package engine

import (
	"fmt"
	"slices"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// Profile is the distribution of a column in the training rows, with which an upload's quality and drift are compared.
type Profile struct {
	Missing float64 `json:"missing"` // share of the training rows
	// Shares are the shares of the training rows by bin; the last one is that of missing values. See
	// [ColumnTally.Bins].
	Shares []float64 `json:"shares,omitempty"`
	// Importance is the column's share of the total gain of the model's splits; 0 for columns that the model does not
	// read.
	Importance float64 `json:"importance,omitempty"`
}

// columnProfile is how to count a schema column.
type columnProfile struct {
	grid     *grid    // nil unless a number column with bins: its edges are the inclusive upper bounds of all bins but the last
	bins     int      // length of ColumnTally.Bins, of which the last one is for missing values; 0: no bins
	training *Profile // nil if the bundle has none
	gain     float64  // share of the total gain of the model's splits; 0 if the model does not read the column
}

// profiles prepares the counting of every schema column and validates the training profile.
func (f *bundleFile) profiles(
	s ingest.Schema, features []featureColumn, model *forest.Forest,
) ([]columnProfile, error) {
	if n := len(f.Training.ScoreShares); n != 0 && n != histogramBins {
		return nil, fmt.Errorf("training: %d score_shares, not %d", n, histogramBins)
	}
	for name := range f.Training.Columns {
		if f.column(name) == nil {
			return nil, fmt.Errorf("training: column %q is not described", name)
		}
	}
	profiles := make([]columnProfile, len(s.Columns))
	for i, c := range s.Columns {
		p, err := profileOf(c, f.Training.Columns)
		if err != nil {
			return nil, fmt.Errorf("training: column %q: %w", c.Name, err)
		}
		profiles[i] = p
	}
	for i, share := range Importance(model) {
		p := &profiles[features[i].column]
		p.gain += share
		if p.training != nil {
			p.training.Importance += share
		}
	}
	return profiles, nil
}

func (p *columnProfile) importance() float64 {
	if p.training == nil {
		return 0
	}
	return p.training.Importance
}

func profileOf(c ingest.Column, trained map[string]trainingColumn) (columnProfile, error) {
	t, known := trained[c.Name]
	var p columnProfile
	switch {
	case c.Kind == ingest.Category:
		p.bins = len(c.Categories) + 1
	case c.Kind == ingest.Number && len(t.Shares) > 0:
		p.grid, p.bins = newGrid(t.Edges), len(t.Edges)+2
	}
	if known {
		p.training = &Profile{Missing: t.Missing, Shares: t.Shares}
	}
	if n := len(t.Shares); n != 0 && n != p.bins {
		return p, fmt.Errorf("%d shares for %d bins", n, p.bins)
	}
	if !slices.IsSorted(t.Edges) {
		return p, fmt.Errorf("edges must ascend")
	}
	return p, nil
}
