package forest

import "math"

// quadrature is a Gauss-Legendre rule on [0, 1]: it integrates polynomials below degree 2*len(points) exactly.
type quadrature struct {
	points, weights []float64
}

// newQuadrature finds the roots of the Legendre polynomial of degree n by Newton's method.
func newQuadrature(n int) quadrature {
	q := quadrature{make([]float64, n), make([]float64, n)}
	for i := range (n + 1) / 2 {
		x := cosine(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		var slope float64
		for range 100 {
			var p float64
			p, slope = legendre(n, x)
			step := p / slope
			x -= step
			if math.Abs(step) < 1e-16 {
				break
			}
		}
		w := 1 / ((1 - float64(x*x)) * slope * slope)
		q.points[i], q.points[n-1-i] = (1-x)/2, (1+x)/2
		q.weights[i], q.weights[n-1-i] = w, w
	}
	return q
}

// legendre returns the value and the slope of the Legendre polynomial of degree n at x, |x| < 1.
func legendre(n int, x float64) (value, slope float64) {
	before, value := 0.0, 1.0
	for k := range n {
		before, value = value, (float64(float64(2*k+1)*x*value)-float64(float64(k)*before))/float64(k+1)
	}
	return value, float64(n) * (float64(x*value) - before) / (float64(x*x) - 1)
}

// cosine is [math.Cos] of an angle from 0 to pi, calculated in the same steps but never with a fused product, which would
// give some roots another last bit.
func cosine(x float64) float64 {
	octant := uint64(x * (4 / math.Pi))
	octant += octant & 1
	y := float64(octant)
	z := x - float64(y*7.85398125648498535156e-1) - float64(y*3.77489470793079817668e-8) - float64(y*2.69515142907905952645e-15)
	zz := float64(z * z)
	sine := polynomial(zz, 1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
		-1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1)
	cosine := polynomial(zz, -1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7,
		2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2)
	switch octant {
	case 0:
		return 1 - float64(0.5*zz) + float64(zz*zz*cosine)
	case 2:
		return -(z + float64(z*zz*sine))
	}
	return -(1 - float64(0.5*zz) + float64(zz*zz*cosine))
}

func polynomial(x float64, coefficients ...float64) float64 {
	sum := 0.0
	for _, c := range coefficients {
		sum = float64(sum*x) + c
	}
	return sum
}
