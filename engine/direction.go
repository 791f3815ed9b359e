package engine

import (
	"math"

	"github.com/retainwise/millrace/engine/forest"
)

// concordanceMin is the least concordance at which a number has a direction: the rows in which number and contribution
// deviate the same way minus the others, as a share of all rows.
const concordanceMin = 0.5

// learnDirections determines from the golden rows whether each number raises or lowers the risk when it grows, then
// writes the texts that depend on it. It must be called before the explainer is shared.
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

// signOf returns -1, 0 or 1; 0 for NaN.
func signOf(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
