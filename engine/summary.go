package engine

import (
	"math"
	"strconv"
)

// Summary describes a scored upload for the customer. Figures that are not counts have nine significant digits, as
// further digits depend on how the rows were divided into parts.
type Summary struct {
	Rows      int64         `json:"rows"`
	Scored    int64         `json:"scored"`
	Rejected  int64         `json:"rejected"`
	Skipped   int64         `json:"skipped,omitempty"`  // lines of nothing but delimiters: they are no rows
	Rejects   []ReasonCount `json:"rejects,omitempty"`  // by code and column
	Warnings  []ReasonCount `json:"warnings,omitempty"` // by code and column
	Remarks   []Remark      `json:"remarks"`            // in sentences, the most important first
	Bands     []BandSummary `json:"bands"`              // ascending
	Histogram []int64       `json:"histogram"`          // rows in 20 equal bins of the probability
	// Expected is how many customers are expected to leave, Spread the standard deviation of that number if they leave
	// independently of each other.
	Expected float64 `json:"expected_churners"`
	Spread   float64 `json:"expected_spread"`
	// Value sums the value column; nil if the bundle has none or the file has no values.
	Value     *ValueSummary `json:"value,omitempty"`
	Top       TopTally      `json:"top"`
	Segments  []Segment     `json:"segments"`
	Explained int64         `json:"explained"`         // number of explained rows
	Drivers   []Driver      `json:"drivers,omitempty"` // nil without explanations
	Coverage  Coverage      `json:"reach"`
	Quality   Quality       `json:"quality"`
	NotUsed   []string      `json:"columns_not_used"` // columns of the file that the model does not read
	// Renamed are columns of the file whose names the result has for its own: "name as new name"; absent if there are none.
	Renamed []string `json:"columns_renamed,omitempty"`
	// NumberStyle shows how numbers were read that are no plain decimals: "1.234,56"; absent if all are.
	NumberStyle string `json:"number_style,omitempty"`
	Drift       *Drift `json:"drift"` // nil below 500 scored rows
	// Changes compares with the previous upload. Tally.Summary leaves it nil: the caller sets it.
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

// ValueSummary sums the value column over all scored customers.
type ValueSummary struct {
	Column  string  `json:"column"`
	Missing int64   `json:"missing"` // scored rows without a value, which are in no sum
	Total   float64 `json:"total"`
	Loss    float64 `json:"expected_loss"` // sum of probability times value
}

// Summary derives from the counts what the customer reads. It shares memory with t.
func (t *Tally) Summary() Summary {
	s := Summary{
		Rows: t.Rows, Scored: t.Scored, Rejected: t.Rejected, Rejects: t.Rejects, Warnings: t.Warnings,
		Remarks: t.remarks(t.ColumnCheck),
		Bands:   make([]BandSummary, len(t.Bands)), Histogram: t.histogram(), Spread: roundFigure(math.Sqrt(t.Variance)),
		Top: t.Top, Segments: t.segments(), Explained: t.Explained, Drivers: t.drivers(), Coverage: t.coverage(),
		Quality: t.quality(), NotUsed: append([]string{}, t.NotUsed...), Drift: t.drift(),
		NumberStyle: t.numberStyle(), Renamed: t.Renamed, Skipped: t.Skipped,
	}
	for i, b := range t.Bands {
		s.Bands[i] = BandSummary{b.Name, b.Count, roundFigure(b.Expected), t.money(b.Value), t.money(b.Loss)}
	}
	if s.Top.ByProbability == nil {
		s.Top.ByProbability = []TopRow{}
	}
	all := t.all()
	s.Expected = roundFigure(all.Expected)
	if t.hasValue() {
		s.Value = &ValueSummary{t.Value.Column, t.Value.Missing, roundFigure(all.Value), roundFigure(all.Loss)}
	}
	return s
}

// all returns the sum of all bands.
func (t *Tally) all() (all Cohort) {
	for _, band := range t.Bands {
		all.add(band.Cohort)
	}
	return all
}

// hasValue reports whether any scored row has a value.
func (t *Tally) hasValue() bool { return t.Value != nil && t.Value.Missing < t.Scored }

// money returns a rounded amount; nil if no row has a value.
func (t *Tally) money(x float64) *float64 {
	if !t.hasValue() {
		return nil
	}
	x = roundFigure(x)
	return &x
}

func (t *Tally) histogram() []int64 {
	counts := make([]int64, len(t.Scores))
	for i := range t.Scores {
		counts[i] = t.Scores[i].Count
	}
	return counts
}

// roundFigure rounds to the nine significant digits of a Summary.
func roundFigure(x float64) float64 {
	const digits = 9
	var text [32]byte
	rounded, err := strconv.ParseFloat(string(strconv.AppendFloat(text[:0], x, 'g', digits, 64)), 64)
	if err != nil {
		return x
	}
	return rounded
}
