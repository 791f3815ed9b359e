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
	Skipped   int64         `json:"skipped,omitempty"`  // lines of nothing but delimiters: they are no rows
	Rejects   []ReasonCount `json:"rejects,omitempty"`  // by code and column
	Warnings  []ReasonCount `json:"warnings,omitempty"` // by code and column
	Bands     []BandSummary `json:"bands"`              // ascending
	Histogram []int64       `json:"histogram"`          // rows in HistogramBins equal bins of the probability
	// Expected is how many customers are expected to leave, Spread the standard deviation of that number if they leave
	// independently of each other.
	Expected float64 `json:"expected_churners"`
	Spread   float64 `json:"expected_spread"`
	// Value is what is at stake; absent if the bundle names no value column, or the file has no value in it.
	Value     *ValueSummary `json:"value,omitempty"`
	Top       TopTally      `json:"top"`
	Segments  []Segment     `json:"segments"`
	Explained int64         `json:"explained"`         // rows that got reasons
	Drivers   []Driver      `json:"drivers,omitempty"` // absent without explanations
	Reach     Reach         `json:"reach"`
	Quality   Quality       `json:"quality"`
	NotUsed   []string      `json:"columns_not_used"` // of the file: the model does not read them
	// Renamed are columns of the file whose names the result has for its own: "name as new name"; absent if there are none.
	Renamed []string `json:"columns_renamed,omitempty"`
	// NumberStyle shows how numbers were read that are no plain decimals: "1.234,56"; absent if all are.
	NumberStyle string `json:"number_style,omitempty"`
	Drift       *Drift `json:"drift"` // null below 500 rows
	// Changes is set by who knows the upload before; absent if nobody looked for one.
	Changes *Changes `json:"changes,omitempty"`
}

// BandSummary is the customers of one risk band.
type BandSummary struct {
	Name     string   `json:"name"`
	Count    int64    `json:"count"`
	Expected float64  `json:"expected_churners"`
	Value    *float64 `json:"value,omitempty"`
	Loss     *float64 `json:"expected_loss,omitempty"`
}

// ValueSummary is the money of all scored customers.
type ValueSummary struct {
	Column  string  `json:"column"`
	Missing int64   `json:"missing"` // scored rows without a value: they are in no sum
	Total   float64 `json:"total"`
	Loss    float64 `json:"expected_loss"` // sum of probability times value
}

// Summary makes of the counts what a customer reads.
func (t *Tally) Summary() Summary {
	s := Summary{
		Rows: t.Rows, Scored: t.Scored, Rejected: t.Rejected, Rejects: t.Rejects, Warnings: t.Warnings,
		Bands: make([]BandSummary, len(t.Bands)), Histogram: t.histogram(), Spread: published(math.Sqrt(t.Variance)),
		Top: t.Top, Segments: t.segments(), Explained: t.Explained, Drivers: t.drivers(), Reach: t.reach(),
		Quality: t.quality(), NotUsed: append([]string{}, t.NotUsed...), Drift: t.drift(),
		NumberStyle: t.numberStyle(), Renamed: t.Renamed, Skipped: t.Skipped,
	}
	for i, b := range t.Bands {
		s.Bands[i] = BandSummary{b.Name, b.Count, published(b.Expected), t.money(b.Value), t.money(b.Loss)}
	}
	if s.Top.ByProbability == nil {
		s.Top.ByProbability = []TopRow{}
	}
	all := t.all()
	s.Expected = published(all.Expected)
	if t.hasValue() {
		s.Value = &ValueSummary{t.Value.Column, t.Value.Missing, published(all.Value), published(all.Loss)}
	}
	return s
}

// all is every scored customer.
func (t *Tally) all() (all Cohort) {
	for _, band := range t.Bands {
		all.add(band.Cohort)
	}
	return all
}

// hasValue says that there is money to speak of.
func (t *Tally) hasValue() bool { return t.Value != nil && t.Value.Missing < t.Scored }

// money is a figure of a Summary that is absent if there is no money to speak of.
func (t *Tally) money(x float64) *float64 {
	if !t.hasValue() {
		return nil
	}
	x = published(x)
	return &x
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
