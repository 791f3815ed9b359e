package engine

import (
	"math"
	"strconv"
)

// Summary is what a customer reads about a whole upload. Figures that are not counts have nine digits: more would only
// tell how the rows were divided among the parts.
type Summary struct {
	Rows      int64         `json:"rows"`
	Scored    int64         `json:"scored"`
	Rejected  int64         `json:"rejected"`
	Rejects   []ReasonCount `json:"rejects,omitempty"`  // by code and column
	Warnings  []ReasonCount `json:"warnings,omitempty"` // by code and column
	Bands     []BandSummary `json:"bands"`              // ascending
	Histogram []int64       `json:"histogram"`          // rows in HistogramBins equal bins of the probability
	// Expected is how many customers are expected to leave, Spread the standard deviation of that number if they leave
	// independently of each other.
	Expected float64 `json:"expected_churners"`
	Spread   float64 `json:"expected_spread"`
	Quality  Quality `json:"quality"`
	Drift    *Drift  `json:"drift"` // null below 500 rows
}

// BandSummary is the customers of one risk band.
type BandSummary struct {
	Name     string  `json:"name"`
	Count    int64   `json:"count"`
	Expected float64 `json:"expected_churners"`
}

// Summary makes of the counts what a customer reads.
func (t *Tally) Summary() Summary {
	s := Summary{
		Rows: t.Rows, Scored: t.Scored, Rejected: t.Rejected, Rejects: t.Rejects, Warnings: t.Warnings,
		Bands: make([]BandSummary, len(t.Bands)), Histogram: t.histogram(), Spread: published(math.Sqrt(t.Variance)),
		Quality: t.quality(), Drift: t.drift(),
	}
	for i, band := range t.Bands {
		s.Expected += band.Expected
		s.Bands[i] = BandSummary{band.Name, band.Count, published(band.Expected)}
	}
	s.Expected = published(s.Expected)
	return s
}

func (t *Tally) histogram() []int64 {
	counts := make([]int64, len(t.Scores))
	for i := range t.Scores {
		counts[i] = t.Scores[i].Count
	}
	return counts
}

// published rounds a figure to the digits of a Summary.
func published(x float64) float64 {
	const digits = 9
	var text [32]byte
	rounded, err := strconv.ParseFloat(string(strconv.AppendFloat(text[:0], x, 'g', digits, 64)), 64)
	if err != nil {
		return x
	}
	return rounded
}
