package engine

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Calibration maps the model's probability to the observed churn rate. The map never decreases, so the order of
// customers stays.
type Calibration struct {
	Method string `yaml:"method" json:"method"` // platt or isotonic
	// Platt scaling: sigmoid(Slope*logit(p) + Intercept).
	Slope     float64 `yaml:"slope" json:"slope"`
	Intercept float64 `yaml:"intercept" json:"intercept"`
	// Isotonic: linear interpolation between the points (X, Y); constant below the first and above the last.
	X []float64 `yaml:"x" json:"x"`
	Y []float64 `yaml:"y" json:"y"`
}

// Compile validates the parameters and returns the correction; nil for a nil Calibration.
func (c *Calibration) Compile() (correct func(p float64) float64, err error) {
	if c == nil {
		return nil, nil
	}
	switch c.Method {
	case "platt":
		if !(c.Slope > 0) || !finite(c.Slope, c.Intercept) || len(c.X)+len(c.Y) > 0 {
			return nil, fmt.Errorf("calibration: platt takes a slope above 0 and an intercept")
		}
		return c.platt(), nil
	case "isotonic":
		if len(c.X) == 0 || len(c.X) != len(c.Y) || c.Slope != 0 || c.Intercept != 0 {
			return nil, fmt.Errorf("calibration: isotonic takes as many x as y")
		}
		if !ascend(c.X) || len(slices.Compact(slices.Clone(c.X))) != len(c.X) || !ascend(c.Y) {
			return nil, fmt.Errorf("calibration: x must ascend and y must not fall, from 0 to 1")
		}
		return c.isotonic, nil
	}
	return nil, fmt.Errorf("calibration: method %q is not platt or isotonic", c.Method)
}

func finite(values ...float64) bool {
	return !slices.ContainsFunc(values, func(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) })
}

// ascend reports whether the values are probabilities in non-decreasing order.
func ascend(values []float64) bool {
	return finite(values...) && slices.IsSorted(values) && values[0] >= 0 && values[len(values)-1] <= 1
}

// platt applies Platt scaling. 0 and 1 map to themselves, as their logits are infinite.
func (c *Calibration) platt() func(p float64) float64 {
	logistic := newLogistic()
	return func(p float64) float64 {
		if p <= 0 || p >= 1 {
			return min(max(p, 0), 1)
		}
		return logistic(float64(c.Slope*NaturalLog(p/(1-p))) + c.Intercept)
	}
}

func (c *Calibration) isotonic(p float64) float64 {
	i := sort.SearchFloat64s(c.X, p)
	switch {
	case i == 0:
		return c.Y[0]
	case i == len(c.X):
		return c.Y[i-1]
	}
	share := (p - c.X[i-1]) / (c.X[i] - c.X[i-1])
	// The conversion keeps processors from fusing product and sum; the bounds keep rounding from leaving the line.
	y := c.Y[i-1] + float64(share*(c.Y[i]-c.Y[i-1]))
	return min(max(y, c.Y[i-1]), c.Y[i])
}

// probabilities converts raw scores to calibrated probabilities in dst, which must be at least as long as raw.
func (b *Bundle) probabilities(dst, raw []float64) {
	b.forest.Probabilities(dst, raw)
	if b.calibrate == nil {
		return
	}
	for i, p := range dst[:len(raw)] {
		dst[i] = b.calibrate(p)
	}
}
