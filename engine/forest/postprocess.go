package forest

import "math"

// Probabilities turns raw scores, row-major with Forest.Classes columns, into what the objective promises: a
// probability, a rate, a value. A custom objective has no link, its raw scores stay. Dst may be raw. XGBoost's scores
// are calculated in float32, LightGBM's in float64, as the libraries do; no product is fused with a sum.
func (f *Forest) Probabilities(dst, raw []float64) {
	if f.Link == LinkSoftmax {
		for i := 0; i+f.Classes <= len(raw); i += f.Classes {
			f.softmax(dst[i:i+f.Classes], raw[i:i+f.Classes])
		}
		return
	}
	link := f.ScalarLink()
	for i, x := range raw {
		dst[i] = link(x)
	}
}

func (f *Forest) softmax(dst, raw []float64) {
	if f.Library == XGBoost {
		softmax32(dst, raw)
	} else {
		softmax64(dst, raw)
	}
}

// ScalarLink returns the link of one raw score, which is not for [LinkSoftmax]. The function may be called
// concurrently.
func (f *Forest) ScalarLink() func(float64) float64 {
	narrow := f.Library == XGBoost
	switch f.Link {
	case LinkSigmoid:
		if narrow {
			return sigmoid32
		}
		factor := f.Sigmoid
		return func(x float64) float64 { return 1 / (1 + exp64(float64(-factor*x))) }
	case LinkExp:
		if narrow {
			return func(x float64) float64 { return float64(exp32(float32(x))) }
		}
		return exp64
	case LinkLog1pExp:
		return func(x float64) float64 { return math.Log1p(exp64(x)) }
	case LinkSignedSquare:
		return signedSquare
	case LinkHinge:
		return hinge
	}
	return func(x float64) float64 { return x }
}

func signedSquare(x float64) float64 { return math.Copysign(float64(x*x), x) }

func hinge(x float64) float64 {
	if x > 0 {
		return 1
	}
	return 0
}

// sigmoid32 is XGBoost's: the exponent is capped where float32 would overflow.
func sigmoid32(x float64) float64 {
	const largest = 88.7
	e := exp32(min(-float32(x), largest))
	return float64(1 / (e + 1))
}

// softmax64 subtracts the largest score first, so that no exponent overflows.
func softmax64(dst, raw []float64) {
	largest, sum := raw[0], 0.0
	for _, x := range raw[1:] {
		largest = max(largest, x)
	}
	for i, x := range raw {
		dst[i] = exp64(x - largest)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}

// softmax32 holds exponentials in float32 and their sum in float64, as XGBoost does.
func softmax32(dst, raw []float64) {
	largest, sum := float32(raw[0]), 0.0
	for _, x := range raw[1:] {
		largest = max(largest, float32(x))
	}
	for i, x := range raw {
		e := exp32(float32(x) - largest)
		dst[i] = float64(e)
		sum += float64(e)
	}
	for i := range dst {
		dst[i] = float64(float32(dst[i]) / float32(sum))
	}
}
