package engine

import (
	"math"
	"slices"
)

// gridCells is how many equal cells the range of the edges is divided into: enough to part the edges of most columns.
const gridCells = 256

// grid finds the bin of a number: how many edges are below it. The number's cell says how many edges are below the
// whole cell; of the one edge that a cell may have, a compare tells. Both steps take no branch, so that the number does
// not matter. Which cell a number is in never falls when the number rises, so rounding cannot put it on a wrong side.
type grid struct {
	edges []float64 // ascending
	low   float64
	scale float64
	edge  [gridCells]float64 // in the cell; +Inf if there is none
	below [gridCells]int16   // edges in lower cells; gridCrowded in a cell of several
}

// gridCrowded marks a cell that has more than one edge.
const gridCrowded = -1

func newGrid(edges []float64) *grid {
	g := &grid{edges: slices.Clone(edges)}
	if len(edges) > 0 {
		g.low = edges[0]
		if width := edges[len(edges)-1] - g.low; width > 0 {
			g.scale = (gridCells - 1) / width
		}
	}
	if math.IsInf(g.scale, 0) {
		g.scale = 0
	}
	counts := [gridCells]int16{}
	for i := range g.edge {
		g.edge[i] = inf
	}
	for _, e := range edges {
		cell := min(max(int64((e-g.low)*g.scale), 0), gridCells-1)
		g.edge[cell] = e
		counts[cell]++
	}
	below := int16(0)
	for i, n := range counts {
		g.below[i] = below
		below += n
		if n > 1 {
			g.below[i] = gridCrowded
		}
	}
	return g
}

// count adds one to the bin of every number; NaN is in bin 0.
func (g *grid) count(bins []int64, numbers []float64) {
	low, scale := g.low, g.scale
	for _, x := range numbers {
		at := (x - low) * scale
		if math.Abs(at) < 1<<62 {
			cell := min(max(int64(at), 0), gridCells-1)
			if below := g.below[cell]; below >= 0 {
				bins[int(below)+boolToInt(x > g.edge[cell])]++
				continue
			}
		}
		bins[g.bin(x)]++
	}
}

// bin counts the edges below x, one by one.
func (g *grid) bin(x float64) int {
	n := 0
	for n < len(g.edges) && x > g.edges[n] {
		n++
	}
	return n
}

// boolToInt is 1 for true; the compiler makes no branch of it.
func boolToInt(b bool) int {
	var n uint8
	if b {
		n = 1
	}
	return int(n)
}
