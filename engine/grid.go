package engine

import (
	"math"
	"slices"
)

// gridCells is the number of equal cells between the least and the largest edge: enough to separate the edges of most
// columns.
const gridCells = 256

// grid finds the bin of a number, which is the number of edges below it. A number's cell knows how many edges are below
// the whole cell; one comparison decides on the edge inside, if there is one. Both steps are free of branches, so the
// time does not depend on the data. The cell is a non-decreasing function of the number, so rounding cannot move it
// past an edge.
type grid struct {
	edges []float64 // ascending
	low   float64
	scale float64
	edge  [gridCells]float64 // edge inside the cell; +Inf if there is none
	below [gridCells]int16   // number of edges in lower cells; gridCrowded if the cell has several edges
}

// gridCrowded marks a cell with more than one edge.
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

// count increments the bin of every number; NaN is in bin 0.
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

// bin counts the edges below x by linear search.
func (g *grid) bin(x float64) int {
	n := 0
	for n < len(g.edges) && x > g.edges[n] {
		n++
	}
	return n
}

// boolToInt returns 1 for true. It compiles without a branch.
func boolToInt(b bool) int {
	var n uint8
	if b {
		n = 1
	}
	return int(n)
}
