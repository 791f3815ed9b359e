package engine

import (
	"math"

	"github.com/retainwise/millrace/engine/forest"
)

// concordanceMin is how much more often a number and its contribution must go the same way than not, as a share of the
// rows, for the number to have a direction.
const concordanceMin = 0.5

// orient learns from a bundle's golden rows how the risk goes with each number that the model reads; what then is known
// of their words is written. It is called once, before the explainer is shared.
func (x *explainer) orient(rows forest.Rows) {
	width := len(rows.Columns) + 1
	phi := make([]float64, rows.Len*width)
	x.trees.NewContributor().Contributions(phi, rows)
	for i := range x.book.features {
		p := &x.book.features[i]
		concordant := 0
		for row, value := range rows.Columns[i].Numbers {
			concordant += sign(value-p.typical) * sign(phi[row*width+i])
		}
		if math.Abs(float64(concordant)) >= concordanceMin*float64(rows.Len) {
			p.direction = sign(float64(concordant))
		}
		p.writeWhole()
	}
}

// sign is 0 for zero and NaN.
func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
