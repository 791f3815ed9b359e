package forest

import (
	"math"
	"math/rand/v2"
)

// probeRowsMost is the number of rows that ProbeRows makes, unless the forest is so wide that they would be too large.
const probeRowsMost = 256

// ProbeRows makes rows that test a scorer of this forest where it can go wrong: thresholds and their neighbours, zeros,
// missing and infinite values, known and unknown categories, and paths into random leaves. The same forest gives the
// same rows.
func (f *Forest) ProbeRows() Rows {
	p := newProber(f)
	const valuesMost = 1 << 21
	rows := Rows{Len: max(8, min(probeRowsMost, valuesMost/max(1, len(f.Features))))}
	rows.Columns = make([]Column, len(f.Features))
	for i := range rows.Columns {
		rows.Columns[i].Numbers = make([]float64, rows.Len)
	}
	row := make([]float64, len(f.Features))
	for r := range rows.Len {
		for i := range row {
			row[i] = p.value(i)
		}
		if r%2 == 1 && len(f.Trees) > 0 {
			p.steer(row, &f.Trees[p.random.IntN(len(f.Trees))])
		}
		for i := range row {
			rows.Columns[i].Numbers[r] = row[i]
		}
	}
	return rows
}

// prober makes the values of probe rows.
type prober struct {
	forest *Forest
	random *rand.Rand
	// seeds are some thresholds and categories of every feature.
	seeds [][]float64
	seen  []int // thresholds and categories met per feature
}

func newProber(f *Forest) *prober {
	p := &prober{
		forest: f,
		random: rand.New(rand.NewPCG(0x6d696c6c, 0x72616365)),
		seeds:  make([][]float64, len(f.Features)),
		seen:   make([]int, len(f.Features)),
	}
	for t := range f.Trees {
		tree := &f.Trees[t]
		for i := range tree.Nodes {
			n := &tree.Nodes[i]
			if n.Kind == SplitInSet || n.Kind == SplitNotInSet {
				p.seed(int(n.Feature), p.category(tree.Sets[n.Set]))
			} else {
				p.seed(int(n.Feature), n.Threshold)
			}
		}
	}
	return p
}

// seed keeps a uniform sample of the values met.
func (p *prober) seed(feature int, v float64) {
	const kept = 32
	p.seen[feature]++
	switch i := p.random.IntN(p.seen[feature]); {
	case len(p.seeds[feature]) < kept:
		p.seeds[feature] = append(p.seeds[feature], v)
	case i < kept:
		p.seeds[feature][i] = v
	}
}

// category returns a category in or just beyond a set.
func (p *prober) category(set []uint32) float64 {
	start := p.random.IntN(len(set)*32 + 1)
	for c := start; c < len(set)*32; c++ {
		if set[c/32]>>(c%32)&1 != 0 {
			return float64(c)
		}
	}
	return float64(start)
}

func (p *prober) value(feature int) float64 {
	special := [...]float64{
		math.NaN(), 0, math.Copysign(0, -1), 1e-36, -1e-36, math.Inf(1), math.Inf(-1), -1, -0.5, 1 << 24, 3e9,
		zeroEdge, -zeroEdge, 1e-34,
	}
	seeds := p.seeds[feature]
	if len(seeds) == 0 || p.random.IntN(3) == 0 {
		return special[p.random.IntN(len(special))]
	}
	seed := seeds[p.random.IntN(len(seeds))]
	switch p.random.IntN(6) {
	case 0:
		return p.beside(seed, math.Inf(1))
	case 1:
		return p.beside(seed, math.Inf(-1))
	case 2:
		return float64(seed/2) + float64(seeds[p.random.IntN(len(seeds))]/2)
	case 3:
		return seed + 0.5 // a fraction of a category
	}
	return seed
}

// beside returns the value next to v that the library distinguishes from it.
func (p *prober) beside(v, toward float64) float64 {
	if p.forest.Library == XGBoost {
		return float64(math.Nextafter32(float32(v), float32(toward)))
	}
	return math.Nextafter(v, toward)
}

// steer changes a row so that it takes a random path through a tree, as far as one value per feature allows.
func (p *prober) steer(row []float64, t *Tree) {
	if len(t.Nodes) == 0 {
		return
	}
	fixed := make(map[int32]bool)
	for at := int32(0); at >= 0; {
		n := &t.Nodes[at]
		left := p.random.IntN(2) == 0
		if !fixed[n.Feature] {
			fixed[n.Feature] = true
			row[n.Feature] = p.toward(n, t.Sets, left)
		}
		x := row[n.Feature]
		if p.forest.Library == XGBoost {
			x = float64(float32(x))
		}
		if at = n.Right; n.goesLeft(x, t.Sets) {
			at = n.Left
		}
	}
}

// toward returns a value that goes to one side of a node, as close to the border as there is one.
func (p *prober) toward(n *Node, sets [][]uint32, left bool) float64 {
	candidates := [3]float64{n.Threshold, p.beside(n.Threshold, math.Inf(-1)), p.beside(n.Threshold, math.Inf(1))}
	if n.Kind == SplitInSet || n.Kind == SplitNotInSet {
		beyond := float64(len(sets[n.Set]) * 32)
		candidates = [3]float64{p.category(sets[n.Set]), float64(p.random.IntN(len(sets[n.Set]) * 32)), beyond}
	}
	for _, c := range candidates {
		if n.goesLeft(c, sets) == left {
			return c
		}
	}
	return math.NaN()
}
