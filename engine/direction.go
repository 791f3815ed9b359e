package engine

import (
	"math"

	"github.com/retainwise/millrace/engine/forest"
)

// concordanceMin is how much more often a number and its contribution must go the same way than not, as a share of the
// rows, for the number to have a direction.
const concordanceMin = 0.5

// learnDirections learns from a bundle's golden rows how the risk goes with each number that the model reads; what then is known
// of their words is written. It is called once, before the explainer is shared.
func (x *explainer) learnDirections(rows forest.Rows) {
	width := len(rows.Columns) + 1
	phi := make([]float64, rows.Len*width)
	x.trees.NewContributor().Contributions(phi, rows)
	for i := range x.book.features {
		p := &x.book.features[i]
		concordant := 0
		for row, value := range rows.Columns[i].Numbers {
			concordant += signOf(value-p.typical) * signOf(phi[row*width+i])
		}
		if math.Abs(float64(concordant)) >= concordanceMin*float64(rows.Len) {
			p.direction = signOf(float64(concordant))
		}
		p.precomputeIntegers()
	}
}

// signOf is 0 for zero and NaN.
func signOf(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
