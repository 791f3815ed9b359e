package engine

import "math"

// ValueTally is what is known of the value column.
type ValueTally struct {
	Column  string `json:"column"`
	Missing int64  `json:"missing,omitempty"` // scored rows without a value
}

// Losses are counted in bins of two an octave, from 2^-10 to 2^40; what is smaller or larger is in the first or last
// one.
const (
	lossBins     = 100
	lossBinShift = 51 // leaves the exponent of a float64 and the first digit of its fraction
)

// lossBin gives the bin of an expected loss; that of a row without a value is NaN.
func lossBin(loss float64) int {
	if !(loss > 0) {
		return 0
	}
	const lowest = 0x3f5 << 1 // 2^-10
	return min(max(int(math.Float64bits(loss)>>lossBinShift)-lowest, 0), lossBins-1)
}

// Coverage says what contacting the first customers of a list covers.
type Coverage struct {
	ByProbability []CoveragePoint `json:"by_probability"`
	ByLoss        []CoveragePoint `json:"by_loss,omitempty"` // absent without a value column
}

// CoveragePoint is the first so many customers of the list.
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

// coveragePoints adds the bins up from the last one: the customers of a bin are contacted before those of a lower one.
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

// ratio is x/of as a Summary has it; 0 of nothing.
func ratio(x, of float64) float64 {
	if of == 0 {
		return 0
	}
	return roundFigure(x / of)
}
