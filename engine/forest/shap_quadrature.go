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
		x := math.Cos(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
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
