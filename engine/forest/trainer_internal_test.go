package forest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// trainer grows a boosted forest, leaf by leaf, on customers that do not exist. Trained trees are lopsided and real
// rows crowd into few of their leaves, which is what engines with branches live on: random forests and rows would
// flatter an engine without.
type trainer struct {
	features, bins, rows, leaves int
	cuts                         [][]float64
	codes                        [][]uint8
	gradient, hessian            []float64
}

// customers draws rows with skewed amounts, small counts, zero-inflated usage and flags.
func customers(features, n int, seed uint64) (x [][]float64, churned []bool) {
	r := rand.New(rand.NewPCG(seed, 3))
	x, churned = make([][]float64, features), make([]bool, n)
	for f := range x {
		x[f] = make([]float64, n)
	}
	for row := range n {
		loyal, size := r.NormFloat64(), r.NormFloat64()
		for f := range x {
			z := 0.6*loyal + 0.4*size*float64(f%3) + 0.7*r.NormFloat64()
			switch f % 5 {
			case 0:
				x[f][row] = math.Round(100*math.Exp(1.2*z)) / 100
			case 1:
				x[f][row] = math.Floor(math.Exp(0.8 * z))
			case 2:
				x[f][row] = max(0, math.Round(10*z))
			case 3:
				x[f][row] = math.Round(1000 / (1 + math.Exp(-z)))
			case 4:
				x[f][row] = map[bool]float64{true: 1}[z > 0.8]
			}
		}
		odds := -1.2 - 1.1*loyal + 0.3*math.Log1p(math.Abs(x[0][row])) - 0.02*x[2%features][row]
		churned[row] = r.Float64() < 1/(1+math.Exp(-odds))
	}
	return x, churned
}

// trained is a forest of so many trees.
func trained(trees, leaves, features int) *Forest {
	const rows = 4096
	x, churned := customers(features, rows, 1)
	t := &trainer{features: features, bins: 64, rows: rows, leaves: leaves}
	t.bin(x)
	f := &Forest{
		Library: LightGBM, Link: LinkSigmoid, Sigmoid: 1, Classes: 1, Base: []float64{0}, Iterations: trees,
		Features: make([]Feature, features),
	}
	score := make([]float64, rows)
	t.gradient, t.hessian = make([]float64, rows), make([]float64, rows)
	for range trees {
		for i := range score {
			p := 1 / (1 + math.Exp(-score[i]))
			t.hessian[i], t.gradient[i] = p*(1-p), p
			if churned[i] {
				t.gradient[i]--
			}
		}
		f.Trees = append(f.Trees, t.grow(score))
	}
	return f
}

func (t *trainer) bin(x [][]float64) {
	for _, column := range x {
		sorted := slices.Clone(column)
		slices.Sort(sorted)
		var cuts []float64
		for b := 1; b < t.bins; b++ {
			cuts = append(cuts, sorted[b*len(sorted)/t.bins])
		}
		cuts = slices.Compact(cuts)
		codes := make([]uint8, len(column))
		for i, v := range column {
			at, _ := slices.BinarySearch(cuts, v)
			codes[i] = uint8(at)
		}
		t.cuts, t.codes = append(t.cuts, cuts), append(t.codes, codes)
	}
}

// trainLeaf is a leaf that may be split.
type trainLeaf struct {
	rows         []int32
	feature, cut int
	gain         float64
}

func (t *trainer) grow(score []float64) Tree {
	all := make([]int32, t.rows)
	for i := range all {
		all[i] = int32(i)
	}
	leaves := []trainLeaf{t.best(all)}
	tree := Tree{}
	parent := []*int32{nil}
	tree.Nodes = make([]Node, 0, t.leaves)
	for len(leaves) < t.leaves {
		at := 0
		for i := range leaves {
			if leaves[i].gain > leaves[at].gain {
				at = i
			}
		}
		l := leaves[at]
		if l.gain <= 0 {
			break
		}
		var left, right []int32
		for _, row := range l.rows {
			if int(t.codes[l.feature][row]) <= l.cut {
				left = append(left, row)
			} else {
				right = append(right, row)
			}
		}
		if p := parent[at]; p != nil {
			*p = int32(len(tree.Nodes))
		}
		tree.Nodes = append(tree.Nodes, Node{
			Feature: int32(l.feature), Threshold: t.cuts[l.feature][l.cut], Missing: MissingNaN, Cover: float64(len(l.rows)),
			Left: ^int32(at), Right: ^int32(len(leaves)),
		})
		node := &tree.Nodes[len(tree.Nodes)-1]
		parent[at] = &node.Left
		parent = append(parent, &node.Right)
		leaves[at] = t.best(left)
		leaves = append(leaves, t.best(right))
	}
	for _, l := range leaves {
		g, h := 0.0, 1.0
		for _, row := range l.rows {
			g, h = g+t.gradient[row], h+t.hessian[row]
		}
		value := -0.05 * g / h
		tree.Leaves = append(tree.Leaves, Leaf{Value: value, Cover: float64(len(l.rows))})
		for _, row := range l.rows {
			score[row] += value
		}
	}
	return tree
}

// best finds the best split of some rows.
func (t *trainer) best(rows []int32) trainLeaf {
	leaf := trainLeaf{rows: rows}
	for f := range t.features {
		var g, h, n [64]float64
		codes := t.codes[f]
		for _, row := range rows {
			c := codes[row] & 63
			g[c] += t.gradient[row]
			h[c] += t.hessian[row]
			n[c]++
		}
		var gl, hl, nl, ga, ha, na float64
		for c := range g {
			ga, ha, na = ga+g[c], ha+h[c], na+n[c]
		}
		for c := range t.cuts[f] {
			gl, hl, nl = gl+g[c], hl+h[c], nl+n[c]
			if nl < 20 || na-nl < 20 {
				continue
			}
			gain := gl*gl/(hl+1) + (ga-gl)*(ga-gl)/(ha-hl+1) - ga*ga/(ha+1)
			if gain > leaf.gain {
				leaf.gain, leaf.feature, leaf.cut = gain, f, c
			}
		}
	}
	return leaf
}
