package engine

import "math"

// ValueTally describes the value column of the scored rows.
type ValueTally struct {
	Column  string `json:"column"`
	Missing int64  `json:"missing,omitempty"` // scored rows without a value
}

// Losses are counted in two bins per power of two, from 2^-10 to 2^40; the first and the last bin are open.
const (
	lossBins     = 100
	lossBinShift = 51 // leaves the exponent of a float64 and the first digit of its fraction
)

// lossBin returns the bin of an expected loss; NaN, for a row without a value, is in bin 0.
func lossBin(loss float64) int {
	if !(loss > 0) {
		return 0
	}
	const lowest = 0x3f5 << 1 // 2^-10
	return min(max(int(math.Float64bits(loss)>>lossBinShift)-lowest, 0), lossBins-1)
}

// Coverage is the cumulative gain of contacting customers in the order of a list.
type Coverage struct {
	ByProbability []CoveragePoint `json:"by_probability"`
	ByLoss        []CoveragePoint `json:"by_loss,omitempty"` // absent without a value column
}

// CoveragePoint is the share of churners and losses among the first Contacted customers of a list.
type CoveragePoint struct {
	Contacted     int64    `json:"contacted"`
	Expected      float64  `json:"expected_churners"`
	ExpectedShare float64  `json:"expected_churners_share"`
	Loss          *float64 `json:"expected_loss,omitempty"`
	LossShare     *float64 `json:"expected_loss_share,omitempty"`
}

func (t *Tally) coverage() Coverage {
	r := Coverage{ByProbability: t.coveragePoints(t.Scores)}
	if t.hasValue() {
		r.ByLoss = t.coveragePoints(t.Losses)
	}
	return r
}

// coveragePoints accumulates the bins from the last to the first, as customers of a higher bin are contacted first.
func (t *Tally) coveragePoints(bins []Cohort) []CoveragePoint {
	points := []CoveragePoint{}
	all := t.all()
	var sum Cohort
	for i := len(bins) - 1; i >= 0; i-- {
		if bins[i].Count == 0 {
			continue
		}
		sum.add(bins[i])
		points = append(points, CoveragePoint{
			Contacted: sum.Count, Expected: roundFigure(sum.Expected), ExpectedShare: ratio(sum.Expected, all.Expected),
			Loss: t.money(sum.Loss), LossShare: t.money(ratio(sum.Loss, all.Loss)),
		})
	}
	return points
}

// ratio returns x/of rounded like all figures of a Summary; 0 if of is 0.
func ratio(x, of float64) float64 {
	if of == 0 {
		return 0
	}
	return roundFigure(x / of)
}
