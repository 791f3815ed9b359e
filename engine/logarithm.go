package engine

import (
	"math"

	"github.com/retainwise/millrace/engine/forest"
)

// NaturalLog is [math.Log] of a positive number below infinity, by the same steps (FreeBSD's, Copyright (C) 1993 by Sun
// Microsystems, freely used as long as this notice is preserved), but with the same bits on every processor: math.Log is
// assembly on some and fuses products with sums on others.
func NaturalLog(x float64) float64 {
	const ln2High, ln2Low = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	fraction, exponent := math.Frexp(x)
	if fraction < math.Sqrt2/2 {
		fraction *= 2
		exponent--
	}
	f, k := fraction-1, float64(exponent)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	odd := 1.818357216161805012e-01 + float64(s4*1.479819860511658591e-01)
	odd = 2.857142874366239149e-01 + float64(s4*odd)
	odd = float64(s2 * (6.666666666666735130e-01 + float64(s4*odd)))
	even := 2.222219843214978396e-01 + float64(s4*1.531383769920937332e-01)
	even = float64(s4 * (3.999999999940941908e-01 + float64(s4*even)))
	half := float64(0.5 * f * f)
	low := float64(s*(half+(odd+even))) + float64(k*ln2Low)
	return float64(k*ln2High) - ((half - low) - f)
}

// newLogistic returns 1/(1+e^-x) as LightGBM calculates it, with the same bits on every processor. It may be called
// concurrently.
func newLogistic() func(x float64) float64 {
	f := forest.Forest{Library: forest.LightGBM, Link: forest.LinkSigmoid, Sigmoid: 1}
	return f.ScalarLink()
}
