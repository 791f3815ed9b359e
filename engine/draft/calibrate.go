package draft

import (
	"fmt"
	"math"
	"sort"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

const (
	calibrationRowsMin = 50    // customers that left, and that stayed, below which no calibration is drawn from a holdout
	calibrationGain    = 0.002 // share of the log loss that a calibration must save on rows that it was not drawn from
)

// Calibration corrects a probability: with Method platt it is sigmoid(Slope * logit(p) + Intercept), with isotonic linear
// between the points (X, Y) and constant outside them. Nil leaves probabilities as they are.
//
// Source: J. Platt, Probabilistic outputs for support vector machines, 1999, with its smoothed targets.
type Calibration struct {
	Method    string    `json:"method"`
	Slope     float64   `json:"slope"`
	Intercept float64   `json:"intercept"`
	X         []float64 `json:"x"`
	Y         []float64 `json:"y"`
}

// String returns the calibration as bundle.yaml has it.
func (c *Calibration) String() string {
	if c.Method == isotonic {
		return fmt.Sprintf("{method: isotonic, x: %s, y: %s}", numbers(c.X), numbers(c.Y))
	}
	return fmt.Sprintf("{method: %s, slope: %s, intercept: %s}", quoted(c.Method), decimal(c.Slope), decimal(c.Intercept))
}

const isotonic = "isotonic"

func (c *Calibration) apply(p float64) float64 {
	switch {
	case c == nil:
		return p
	case c.Method == isotonic:
		return c.between(p)
	case p <= 0 || p >= 1:
		return p
	}
	return sigmoid(c.Slope*logit(p) + c.Intercept)
}

// between returns the value at p of the line through the points.
func (c *Calibration) between(p float64) float64 {
	i := sort.SearchFloat64s(c.X, p)
	switch {
	case len(c.X) != len(c.Y) || len(c.X) == 0: // refused when the bundle is opened
		return p
	case i == 0:
		return c.Y[0]
	case i == len(c.X):
		return c.Y[i-1]
	}
	return c.Y[i-1] + (p-c.X[i-1])/(c.X[i]-c.X[i-1])*(c.Y[i]-c.Y[i-1])
}

// sigmoid has the same bits on every processor.
var sigmoid = (&forest.Forest{Library: forest.LightGBM, Link: forest.LinkSigmoid, Sigmoid: 1}).ScalarLink()

func logit(p float64) float64 { return engine.NaturalLog(p / (1 - p)) }

// calibrate draws a calibration from rows that the model has not seen; nil if there are too few, or if it would not help rows
// that it was not drawn from.
func calibrate(observed []engine.Observed, n *notes) *Calibration {
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
	if c.Slope <= 0 || after > before*(1-calibrationGain) {
		return nil
	}
	return c
}

// logLoss is the sum of the rows' log losses.
func logLoss(observed []engine.Observed, c *Calibration) float64 {
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
func fitPlatt(observed []engine.Observed) *Calibration {
	left := 0.0
	for _, o := range observed {
		if o.Churned {
			left++
		}
	}
	stayed := float64(len(observed)) - left
	high, low := (left+1)/(left+2), 1/(stayed+2)
	c := &Calibration{Method: "platt", Slope: 1}
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
	return &Calibration{Method: c.Method, Slope: sixDigits(c.Slope), Intercept: sixDigits(c.Intercept)}
}

// sixDigits rounds to six decimals, which is what bundle.yaml holds.
func sixDigits(x float64) float64 { return math.Round(x*1e6) / 1e6 }
