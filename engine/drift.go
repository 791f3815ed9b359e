package engine

import (
	"cmp"
	"slices"
)

// Drift says how far the upload is from training, by the population stability index. Below driftRowsMin rows there is
// none: chance alone would raise it.
const (
	driftRowsMin  = 500
	driftModerate = 0.1
	driftLarge    = 0.25
	shareFloor    = 0.0001 // of a bin, so that an empty one has a logarithm
)

// Drift compares an upload with the training rows.
type Drift struct {
	Score    *Shift         `json:"score"`    // null if the bundle does not know the scores of training
	Features []FeatureShift `json:"features"` // what matters most first: by PSI times importance
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
	Importance float64 `json:"importance"` // share of what the model's splits tell apart
}

// drift is nil if too few rows were scored, or if the bundle has nothing to compare with.
func (t *Tally) drift() *Drift {
	if t.Scored < driftRowsMin {
		return nil
	}
	d := &Drift{Features: []FeatureShift{}}
	if n := len(t.TrainingScores); n > 0 && n == len(t.Scores) {
		s := shift(t.histogram(), t.TrainingScores)
		d.Score = &s
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Absent || c.Training == nil || len(c.Bins) == 0 || len(c.Training.Shares) != len(c.Bins) {
			continue
		}
		d.Features = append(d.Features, FeatureShift{c.Name, shift(c.Bins, c.Training.Shares), c.Training.Importance})
	}
	if d.Score == nil && len(d.Features) == 0 {
		return nil
	}
	slices.SortStableFunc(d.Features, func(a, b FeatureShift) int {
		return cmp.Or(cmp.Compare(b.PSI*b.Importance, a.PSI*a.Importance), cmp.Compare(b.PSI, a.PSI))
	})
	for i := range d.Features {
		d.Features[i].Importance = published(d.Features[i].Importance)
	}
	return d
}

func shift(counts []int64, training []float64) Shift {
	s := Shift{PSI: published(psi(counts, training)), Change: "none"}
	switch {
	case s.PSI > driftLarge:
		s.Change = "large"
	case s.PSI >= driftModerate:
		s.Change = "moderate"
	}
	return s
}

// psi is the population stability index: the sum over bins of (a-e)*ln(a/e), with the bin's share now, a, and in
// training, e.
func psi(counts []int64, training []float64) float64 {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	sum := 0.0
	for i, n := range counts {
		a := max(share(n, total), shareFloor)
		e := max(training[i], shareFloor)
		sum += float64((a - e) * naturalLog(a/e))
	}
	return sum
}
