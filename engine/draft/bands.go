package draft

import (
	"math"

	"github.com/retainwise/millrace/engine"
)

// Bounds of bare model files, which a bundle without labels has too.
const lowBelow, mediumBelow = 0.3, 0.6

// chooseBands sets the risk bands unless they are given: by the rates at which customers left, or as bare model files have
// them.
func (d *description) chooseBands() {
	if len(d.Bands) > 0 {
		return
	}
	low, medium := lowBelow, mediumBelow
	switch l, m, ok := boundsByRate(d.observed, d.calibration); {
	case ok:
		low, medium = l, m
		d.notes.assume("bands by the rates in the %s: low, below %v, leaves no more often than all customers; high, from %v on, at least "+
			"twice as often, or stays at most half as often", d.whose(), low, medium)
	case len(d.observed) > 0:
		d.notes.look("no bounds of bands stand out in the %s: low is below %v, medium below %v; choose with --bands", d.whose(), low, medium)
	default:
		d.notes.assume("bands as for a bare model file: low below %v, medium below %v; choose with --bands, or --label", low, medium)
	}
	d.Bands = []engine.Band{{Name: "low", Below: low}, {Name: "medium", Below: medium}, {Name: "high", Below: math.Inf(1)}}
}

// whose names the rows that figures are of.
func (d *description) whose() string {
	if d.ofHoldout {
		return "holdout"
	}
	return "training rows (which the model knows, so that they are flattering)"
}

// binRowsMin is the number of rows below which a range of probabilities says nothing about its rate.
const binRowsMin = 20

// boundsByRate looks at twenty equal ranges of the probability. low is the upper end of the ranges, from 0 on, of which none
// leaves more often than all customers do; medium the lower end of those, from 1 down, of which each leaves at least twice as
// often, or stays at most half as often. ok is false if there are no such ranges, or if they meet.
func boundsByRate(observed []engine.Observed, c correction) (low, medium float64, ok bool) {
	var rows, left [scoreBins]float64
	all, churned := 0.0, 0.0
	for _, o := range observed {
		bin := min(int(c.apply(float64(o.Probability))*scoreBins), scoreBins-1)
		rows[bin]++
		all++
		if o.Churned {
			left[bin]++
			churned++
		}
	}
	if churned == 0 || churned == all {
		return 0, 0, false
	}
	rate := churned / all
	first, last := 0, scoreBins
	for first < scoreBins && (rows[first] < binRowsMin || left[first] <= rate*rows[first]) {
		first++
	}
	for last > 0 && (rows[last-1] < binRowsMin || left[last-1] >= min(2*rate, (1+rate)/2)*rows[last-1]) {
		last--
	}
	first, last = min(first, last), max(first, last) // between them are no rows if they crossed
	return float64(first) / scoreBins, float64(last) / scoreBins, first > 0 && first < last && last < scoreBins
}
