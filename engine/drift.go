package engine

import (
	"cmp"
	"slices"
)

// DriftRowsMin is the number of rows below which no drift is reported: the population stability index (PSI) of a small
// sample is large by chance.
const DriftRowsMin = 500

// Thresholds of the index.
const (
	driftModerate = 0.1
	driftLarge    = 0.25
	shareFloor    = 0.0001 // least share of a bin: an empty one has no logarithm
)

// Drift compares the distributions of an upload with those of the training rows.
type Drift struct {
	Score    *Shift         `json:"score"`    // nil if the bundle has no training scores
	Features []FeatureShift `json:"features"` // ordered by PSI times importance, descending
}

// Shift is a population stability index.
type Shift struct {
	PSI    float64 `json:"psi"`
	Change string  `json:"change"` // none (below 0.1), moderate, large (above 0.25)
}

// FeatureShift is the shift of a column that the model reads and the file has.
type FeatureShift struct {
	Column string `json:"column"`
	Shift
	Importance float64 `json:"importance"` // share of the total gain of the model's splits
}

// drift returns nil below DriftRowsMin scored rows or if the bundle has no training profile.
func (t *Tally) drift() *Drift {
	if t.Scored < DriftRowsMin {
		return nil
	}
	d := &Drift{Features: []FeatureShift{}}
	if n := len(t.TrainingScores); n > 0 && n == len(t.Scores) {
		s := NewShift(t.histogram(), t.TrainingScores)
		d.Score = &s
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Absent || c.Training == nil || len(c.Bins) == 0 || len(c.Training.Shares) != len(c.Bins) {
			continue
		}
		d.Features = append(d.Features, FeatureShift{c.Name, NewShift(c.Bins, c.Training.Shares), c.Training.Importance})
	}
	if d.Score == nil && len(d.Features) == 0 {
		return nil
	}
	slices.SortStableFunc(d.Features, func(a, b FeatureShift) int {
		return cmp.Or(cmp.Compare(b.PSI*b.Importance, a.PSI*a.Importance), cmp.Compare(b.PSI, a.PSI))
	})
	for i := range d.Features {
		d.Features[i].Importance = roundFigure(d.Features[i].Importance)
	}
	return d
}

// NewShift compares rows, counted by bin, with the shares of the bins in training, of which there must be as many.
func NewShift(counts []int64, training []float64) Shift {
	s := Shift{PSI: roundFigure(psi(counts, training)), Change: "none"}
	switch {
	case s.PSI > driftLarge:
		s.Change = "large"
	case s.PSI >= driftModerate:
		s.Change = "moderate"
	}
	return s
}

// psi returns the population stability index: the sum over bins of (a-e)*ln(a/e), with the actual share a and the
// expected share e of training.
func psi(counts []int64, training []float64) float64 {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	sum := 0.0
	for i, n := range counts {
		a := max(shareOf(n, total), shareFloor)
		e := max(training[i], shareFloor)
		sum += float64((a - e) * NaturalLog(a/e))
	}
	return sum
}
