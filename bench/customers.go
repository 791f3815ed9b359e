package bench

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/retainwise/millrace/engine/forest"
)

const (
	missingRate   = 0.03
	scoredSeed    = 2 // of the customers that are scored; the test models have seen others
	thresholdSeed = 3
)

// customers draws rows as customers come: skewed amounts, small counts, flags and shares; what makes a customer large
// moves all amounts and counts; some cells are missing. Two fifths of the features are amounts, the rest of them
// counts, shares and flags.
type customers struct {
	random   *rand.Rand
	features int
}

func newCustomers(features int, seed uint64) customers {
	return customers{rand.New(rand.NewPCG(seed, 11)), features}
}

func (c customers) draw(count int) forest.Rows {
	rows := forest.Rows{Len: count, Columns: make([]forest.Column, c.features)}
	for i := range rows.Columns {
		rows.Columns[i].Numbers = make([]float64, count)
	}
	for row := range count {
		size := c.random.NormFloat64()
		for i := range rows.Columns {
			rows.Columns[i].Numbers[row] = c.cell(i, size)
		}
	}
	return rows
}

func (c customers) cell(feature int, size float64) float64 {
	r := c.random
	if r.Float64() < missingRate {
		return math.NaN()
	}
	switch feature % 10 {
	case 0, 1, 2, 3:
		return math.Round(100*math.Exp(0.6*size+0.8*r.NormFloat64())) / 100
	case 4, 5, 6:
		return poisson(r, math.Exp(0.4*size+0.5*r.NormFloat64()))
	case 7, 8:
		share := math.Pow(1-math.Pow(1-r.Float64(), 1/2.5), 1/0.8) // Kumaraswamy, close to a beta distribution
		return math.Round(1e4*share) / 1e4
	}
	if r.Float64() < 1/float64(2+feature/10) {
		return 1
	}
	return 0
}

func poisson(r *rand.Rand, mean float64) float64 {
	limit, count := math.Exp(-mean), 0.0
	for product := r.Float64(); product > limit; product *= r.Float64() {
		count++
	}
	return count
}

// atThresholds draws every cell from the thresholds of its feature, as often as the model uses them, or just above:
// each branch is a coin toss, the worst case for those who branch.
func atThresholds(f *forest.Forest, count int, seed uint64) forest.Rows {
	thresholds := make([][]float64, len(f.Features))
	for i := range f.Trees {
		for _, n := range f.Trees[i].Nodes {
			thresholds[n.Feature] = append(thresholds[n.Feature], n.Threshold)
		}
	}
	r := rand.New(rand.NewPCG(seed, 12))
	rows := forest.Rows{Len: count, Columns: make([]forest.Column, len(f.Features))}
	for i := range rows.Columns {
		numbers := make([]float64, count)
		for row := range numbers {
			if len(thresholds[i]) > 0 {
				numbers[row] = thresholds[i][r.IntN(len(thresholds[i]))]
			}
			if r.IntN(2) == 0 {
				numbers[row] = math.Nextafter(numbers[row], math.Inf(1))
			}
		}
		rows.Columns[i].Numbers = numbers
	}
	return rows
}

// similarRows copies the first customer's cells into every row, but for one in ten, which it keeps: branches are easy to
// predict, the best case for those who branch.
func similarRows(rows forest.Rows) forest.Rows {
	r := rand.New(rand.NewPCG(scoredSeed, 15))
	similar := forest.Rows{Len: rows.Len, Columns: make([]forest.Column, len(rows.Columns))}
	for i, c := range rows.Columns {
		numbers := slices.Clone(c.Numbers)
		for row := range numbers {
			if r.IntN(10) > 0 {
				numbers[row] = numbers[0]
			}
		}
		similar.Columns[i].Numbers = numbers
	}
	return similar
}

// cut shows the rows in batches of one size, without copying. What is left over at the end is left out.
func cut(rows forest.Rows, size int) []forest.Rows {
	var batches []forest.Rows
	for first := 0; first+size <= rows.Len; first += size {
		batch := forest.Rows{Len: size, Columns: make([]forest.Column, len(rows.Columns))}
		for i, c := range rows.Columns {
			if c.Codes != nil {
				batch.Columns[i] = forest.Column{Codes: c.Codes[first : first+size], Values: c.Values}
			} else {
				batch.Columns[i] = forest.Column{Numbers: c.Numbers[first : first+size]}
			}
		}
		batches = append(batches, batch)
	}
	return batches
}
