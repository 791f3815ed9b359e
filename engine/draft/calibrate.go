package draft

import (
	"math"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

const (
	calibrationRowsMin = 50    // customers that left, and that stayed, below which no calibration is drawn from a holdout
	calibrationGain    = 0.002 // share of the log loss that a calibration must save on rows that it was not drawn from
)

// correction is a calibration with what it does.
type correction struct {
	of    *engine.Calibration // nil: none
	apply func(p float64) float64
}

// newCorrection returns a correction; of nil one that changes nothing.
func newCorrection(c *engine.Calibration) (correction, error) {
	apply, err := c.Compile()
	if apply == nil {
		apply = func(p float64) float64 { return p }
	}
	return correction{c, apply}, err
}

func logit(p float64) float64 { return engine.NaturalLog(p / (1 - p)) }

// calibrate draws a correction from rows that the model has not seen. It returns none if there are too few, or if it would not
// help rows that it was not drawn from.
func calibrate(observed []engine.Observed, none correction, n *notes) correction {
	left := 0
	for _, o := range observed {
		if o.Churned {
			left++
		}
	}
	if min(left, len(observed)-left) < calibrationRowsMin {
		n.look("the holdout has %d customers that left and %d that stayed: too few to correct probabilities by", left, len(observed)-left)
		return none
	}
	var halves [2][]engine.Observed
	for i, o := range observed {
		halves[i%2] = append(halves[i%2], o)
	}
	before, after := 0.0, 0.0
	for i := range halves {
		c, err := newCorrection(fitPlatt(halves[1-i]))
		if err != nil { // it would turn the order of customers around
			return none
		}
		before += logLoss(halves[i], none)
		after += logLoss(halves[i], c)
	}
	c, err := newCorrection(fitPlatt(observed))
	if err != nil || after > before*(1-calibrationGain) {
		return none
	}
	return c
}

// logLoss is the sum of the rows' log losses.
func logLoss(observed []engine.Observed, c correction) float64 {
	sum := 0.0
	for _, o := range observed {
		p := min(max(c.apply(float64(o.Probability)), 1e-12), 1-1e-12)
		if !o.Churned {
			p = 1 - p
		}
		sum -= engine.NaturalLog(p)
	}
	return sum
}

// fitPlatt minimises the log loss by Newton's method.
//
// Source: J. Platt, Probabilistic outputs for support vector machines, 1999, with its smoothed targets.
func fitPlatt(observed []engine.Observed) *engine.Calibration {
	left := 0.0
	for _, o := range observed {
		if o.Churned {
			left++
		}
	}
	stayed := float64(len(observed)) - left
	high, low := (left+1)/(left+2), 1/(stayed+2)
	c := &engine.Calibration{Method: "platt", Slope: 1}
	sigmoid := (&forest.Forest{Library: forest.LightGBM, Link: forest.LinkSigmoid, Sigmoid: 1}).ScalarLink()
	for range 50 {
		// The gradient g and the Hessian h by slope and intercept.
		var gs, gi, hss, hsi, hii float64
		for _, o := range observed {
			x := logit(min(max(float64(o.Probability), 1e-6), 1-1e-6))
			target := low
			if o.Churned {
				target = high
			}
			p := sigmoid(c.Slope*x + c.Intercept)
			gs, gi = gs+(p-target)*x, gi+p-target
			w := p * (1 - p)
			hss, hsi, hii = hss+w*x*x, hsi+w*x, hii+w
		}
		det := hss*hii - hsi*hsi
		if !(det > 0) {
			break
		}
		ds, di := (hii*gs-hsi*gi)/det, (hss*gi-hsi*gs)/det
		c.Slope, c.Intercept = c.Slope-ds, c.Intercept-di
		if math.Abs(ds)+math.Abs(di) < 1e-9 {
			break
		}
	}
	return &engine.Calibration{Method: c.Method, Slope: sixDigits(c.Slope), Intercept: sixDigits(c.Intercept)}
}

// sixDigits rounds to six decimals, which is what bundle.yaml holds.
func sixDigits(x float64) float64 { return math.Round(x*1e6) / 1e6 }
