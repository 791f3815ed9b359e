package draft

import (
	"math"

	"github.com/retainwise/millrace/engine"
)

const (
	calibrationRowsMin = 50    // customers that left, and that stayed, below which no calibration is drawn from a holdout
	calibrationGain    = 0.002 // share of the log loss that a calibration must save on rows that it was not drawn from
)

// platt is the calibration sigmoid(slope * logit(p) + intercept). Nil leaves probabilities as they are.
//
// Source: J. Platt, Probabilistic outputs for support vector machines, 1999, with its smoothed targets.
type platt struct{ slope, intercept float64 }

func (c *platt) apply(p float64) float64 {
	if c == nil || p <= 0 || p >= 1 {
		return p
	}
	return sigmoid(c.slope*logit(p) + c.intercept)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func logit(p float64) float64   { return math.Log(p / (1 - p)) }

// calibrate draws a calibration from rows that the model has not seen; nil if there are too few, or if it would not help rows
// that it was not drawn from.
func calibrate(observed []engine.Observed, n *notes) *platt {
	left := 0
	for _, o := range observed {
		if o.Churned {
			left++
		}
	}
	if min(left, len(observed)-left) < calibrationRowsMin {
		n.look("the holdout has %d customers that left and %d that stayed: too few to correct probabilities by", left, len(observed)-left)
		return nil
	}
	var halves [2][]engine.Observed
	for i, o := range observed {
		halves[i%2] = append(halves[i%2], o)
	}
	before, after := 0.0, 0.0
	for i := range halves {
		c := fitPlatt(halves[1-i])
		before += logLoss(halves[i], nil)
		after += logLoss(halves[i], c)
	}
	c := fitPlatt(observed)
	if c.slope <= 0 || after > before*(1-calibrationGain) {
		return nil
	}
	return c
}

// logLoss is the sum of the rows' log losses.
func logLoss(observed []engine.Observed, c *platt) float64 {
	sum := 0.0
	for _, o := range observed {
		p := min(max(c.apply(float64(o.Probability)), 1e-12), 1-1e-12)
		if !o.Churned {
			p = 1 - p
		}
		sum -= math.Log(p)
	}
	return sum
}

// fitPlatt minimises the log loss by Newton's method.
func fitPlatt(observed []engine.Observed) *platt {
	left := 0.0
	for _, o := range observed {
		if o.Churned {
			left++
		}
	}
	stayed := float64(len(observed)) - left
	high, low := (left+1)/(left+2), 1/(stayed+2)
	c := &platt{slope: 1}
	for range 50 {
		// The gradient g and the Hessian h by slope and intercept.
		var gs, gi, hss, hsi, hii float64
		for _, o := range observed {
			x := logit(min(max(float64(o.Probability), 1e-6), 1-1e-6))
			target := low
			if o.Churned {
				target = high
			}
			p := sigmoid(c.slope*x + c.intercept)
			gs, gi = gs+(p-target)*x, gi+p-target
			w := p * (1 - p)
			hss, hsi, hii = hss+w*x*x, hsi+w*x, hii+w
		}
		det := hss*hii - hsi*hsi
		if !(det > 0) {
			break
		}
		ds, di := (hii*gs-hsi*gi)/det, (hss*gi-hsi*gs)/det
		c.slope, c.intercept = c.slope-ds, c.intercept-di
		if math.Abs(ds)+math.Abs(di) < 1e-9 {
			break
		}
	}
	return &platt{slope: sixDigits(c.slope), intercept: sixDigits(c.intercept)}
}

// sixDigits rounds to six decimals, which is what bundle.yaml holds.
func sixDigits(x float64) float64 { return math.Round(x*1e6) / 1e6 }
