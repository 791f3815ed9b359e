// Package health says whether a model is still right: over all uploads of a model and dataset, by month, how far the data
// is from that of the training (drift), how the scores have shifted, what was rejected or not known to the model, and,
// for customers with a known outcome, discrimination (AUC), calibration and the lift of the top tenth. Nothing is computed of too few rows.
//
// The numbers are integers, so that parts, datasets, users and months can be added in any order with the same result.
// They are kept by store/counts; the worker counts, the API adds and answers, and a duty sets the gauges.
package health

import "math"

// Floors: of fewer rows there is no figure.
const (
	// RowsMin is for means and shares of scored rows.
	RowsMin = 100
	// OutcomesMin is for all that outcomes are compared with.
	OutcomesMin = 200
	// EachMin is the least number of customers who left, and of those who stayed, for AUC and lift.
	EachMin = 20
)

// unit is 1 in the sums over customers, whose probabilities and squares are rounded to it: two billion customers fit.
const unit = 1 << 32

func fixed(x float64) int64 { return int64(math.Round(x * unit)) }

func float(x int64) float64 { return float64(x) / unit }

// expectedUnit is 1 in the sum of the probabilities of predictions, each of which is rounded to it once.
const expectedUnit = 1 << 20

// add adds o to sum, number by number.
func add(sum, o []int64) {
	for i, n := range o {
		sum[i] += n
	}
}

// share returns n / of as a figure, nil if of is below least.
func share(n, of, least int64) *float64 {
	if of < max(least, 1) {
		return nil
	}
	x := float64(n) / float64(of)
	return &x
}
