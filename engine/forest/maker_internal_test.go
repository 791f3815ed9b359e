package forest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// maker makes random forests: shapes and values that training rarely gives but a file may hold.
type maker struct {
	library    Library
	trees      int
	leaves     int  // per tree, or up to that many if vary is set
	vary       bool // tree sizes from 1 up
	skew       bool // long chains instead of bushy trees
	features   int
	sets       int // the last so many features are categorical
	categories int
	thresholds int // distinct values per feature to draw from; 0 draws each anew
	classes    int
	mixed      bool // every missing type on every feature (LightGBM)
	linear     bool
	average    bool
	close      float64 // distance of thresholds, some of which then share a float32
	plain      bool    // ordinary thresholds, and values from the same distribution; all columns are numbers
}

func (m maker) forest(seed uint64) *Forest {
	r := rand.New(rand.NewPCG(seed, 1))
	m.classes = max(m.classes, 1)
	m.categories = max(m.categories, 1)
	f := &Forest{
		Library: m.library, Classes: m.classes, Base: make([]float64, m.classes), Average: m.average,
		Iterations: max(1, m.trees/m.classes), Features: make([]Feature, m.features),
	}
	pools := make([][]float64, m.features)
	for i := range pools {
		f.Features[i].Categorical = i >= m.features-m.sets
		for range m.thresholds {
			pools[i] = append(pools[i], m.threshold(r))
		}
	}
	if m.library == XGBoost {
		for i := range f.Base {
			f.Base[i] = float64(float32(r.NormFloat64()))
		}
	}
	for t := range m.trees {
		tree := m.tree(r, f, pools)
		tree.Class = t % m.classes
		f.Trees = append(f.Trees, tree)
	}
	return f
}

func (m maker) threshold(r *rand.Rand) float64 {
	t := r.NormFloat64()
	if m.close > 0 {
		return 1 + t*m.close*100
	}
	if m.plain {
		return m.number(t)
	}
	switch r.IntN(40) {
	case 0:
		t = 0
	case 1:
		t = math.Copysign(0, -1)
	case 2:
		t = zeroBound
	case 3:
		t = math.Inf(1 - 2*r.IntN(2))
	case 4:
		t *= 1e30
	case 5:
		t *= 1e-30
	}
	return m.number(t)
}

// number is the value as the library would hold it.
func (m maker) number(x float64) float64 {
	if m.library == XGBoost {
		return float64(float32(x))
	}
	return x
}

func (m maker) tree(r *rand.Rand, f *Forest, pools [][]float64) Tree {
	leaves := m.leaves
	if m.vary {
		leaves = 1 + r.IntN(m.leaves)
	}
	tree := Tree{Leaves: make([]Leaf, 1, leaves)}
	type place struct {
		node int
		left bool
	}
	places := make([]place, 1, leaves)
	for len(tree.Leaves) < leaves {
		victim := r.IntN(len(tree.Leaves))
		if m.skew && r.IntN(8) > 0 {
			victim = len(tree.Leaves) - 1
		}
		node := m.node(r, f, pools, &tree)
		id, fresh := len(tree.Nodes), len(tree.Leaves)
		if id > 0 {
			p := places[victim]
			if p.left {
				tree.Nodes[p.node].Left = int32(id)
			} else {
				tree.Nodes[p.node].Right = int32(id)
			}
		}
		node.Left, node.Right = ^int32(victim), ^int32(fresh)
		places[victim] = place{id, true}
		places = append(places, place{id, false})
		tree.Nodes = append(tree.Nodes, node)
		tree.Leaves = append(tree.Leaves, Leaf{})
	}
	for i := range tree.Leaves {
		tree.Leaves[i] = Leaf{Value: m.number(r.NormFloat64()), Cover: 1}
		if m.linear {
			tree.Linear = append(tree.Linear, Linear{
				Const: r.NormFloat64(), Features: []int32{int32(r.IntN(m.features))}, Coefficients: []float64{r.NormFloat64()},
			})
		}
	}
	return tree
}

func (m maker) node(r *rand.Rand, f *Forest, pools [][]float64, tree *Tree) Node {
	n := Node{Feature: int32(r.IntN(m.features)), Cover: 2, DefaultLeft: r.IntN(2) == 0}
	xgboost := m.library == XGBoost
	switch {
	case f.Features[n.Feature].Categorical:
		n.Kind, n.Missing, n.Set = SplitInSet, MissingNaN, int32(len(tree.Sets))
		if xgboost {
			n.Kind = SplitNotInSet
		}
		set := make([]uint32, 1+r.IntN((m.categories+31)/32))
		for range 1 + r.IntN(m.categories) {
			c := r.IntN(32 * len(set))
			set[c/32] |= 1 << (c % 32)
		}
		tree.Sets = append(tree.Sets, set)
		return n
	case xgboost:
		n.Kind, n.Missing = SplitLess, MissingNaN
	case m.mixed:
		n.Missing = Missing(r.IntN(3))
	default:
		n.Missing = Missing(n.Feature % 3)
	}
	n.Threshold = m.threshold(r)
	if pool := pools[n.Feature]; len(pool) > 0 {
		n.Threshold = pool[r.IntN(len(pool))]
	}
	return n
}

// rows makes rows that sit on the edges of the forest's tests. Some columns are given as codes.
func (m maker) rows(f *Forest, n int, seed uint64) Rows {
	r := rand.New(rand.NewPCG(seed, 2))
	edges := make([][]float64, len(f.Features))
	for _, t := range f.Trees {
		for _, node := range t.Nodes {
			if !node.isSet() && len(edges[node.Feature]) < 1000 {
				edges[node.Feature] = append(edges[node.Feature], node.Threshold)
			}
		}
	}
	rows := Rows{Len: n}
	for i := range f.Features {
		draw := func() float64 { return m.cell(r, f.Features[i].Categorical, edges[i]) }
		column := Column{Numbers: make([]float64, n)}
		for j := range column.Numbers {
			column.Numbers[j] = draw()
		}
		if i%3 == 2 && !m.plain {
			column = coded(column.Numbers, r)
		}
		rows.Columns = append(rows.Columns, column)
	}
	return rows
}

func (m maker) cell(r *rand.Rand, categorical bool, edges []float64) float64 {
	if m.plain {
		return r.NormFloat64()
	}
	special := []float64{
		math.NaN(), 0, math.Copysign(0, -1), 1e-36, -1e-36, zeroBound, -zeroBound, math.Nextafter(zeroBound, 1),
		math.Nextafter(-zeroBound, -1), math.Inf(1), math.Inf(-1), 1e300, -1e300, -0.5, -1, 16777216, 1 << 31, 0.1, 70.35,
	}
	if r.IntN(8) == 0 {
		return special[r.IntN(len(special))]
	}
	if categorical {
		return math.Trunc(r.Float64()*float64(m.categories+40)*4)/4 - 2
	}
	if len(edges) > 0 && r.IntN(2) == 0 {
		t := edges[r.IntN(len(edges))]
		switch r.IntN(5) {
		case 0:
			return math.Nextafter(t, math.Inf(1))
		case 1:
			return math.Nextafter(t, math.Inf(-1))
		case 2:
			return float64(math.Nextafter32(float32(t), float32(math.Inf(1))))
		case 3:
			return float64(math.Nextafter32(float32(t), float32(math.Inf(-1))))
		}
		return t
	}
	return r.NormFloat64()
}

// coded turns numbers into codes, with spare values that no row uses.
func coded(numbers []float64, r *rand.Rand) Column {
	distinct := slices.Clone(numbers)
	distinct = distinct[:min(len(distinct), 4+600*r.IntN(2))] // few values, or about as many as rows
	distinct = append(distinct, math.NaN(), 1, 2, 3)
	c := Column{Values: distinct, Codes: make([]uint16, len(numbers))}
	for i := range c.Codes {
		c.Codes[i] = uint16(r.IntN(len(distinct)))
	}
	return c
}

// goesLeft is the plain meaning of a node.
func goesLeft(t *Tree, n *Node, x float64) bool {
	switch n.Kind {
	case SplitInSet, SplitNotInSet:
		xgboost := n.Kind == SplitNotInSet
		if x != x {
			return xgboost && n.DefaultLeft
		}
		if xgboost {
			x = float64(float32(x))
		}
		c := math.Trunc(x)
		set := t.Sets[n.Set]
		in := c >= 0 && (x >= 0 || !xgboost) && c < float64(32*len(set)) && set[int(c)/32]>>(int(c)%32)&1 == 1
		return in != xgboost
	case SplitLess:
		if x != x {
			return n.DefaultLeft
		}
		return float32(x) < float32(n.Threshold)
	}
	switch n.Missing {
	case MissingNaN:
		if x != x {
			return n.DefaultLeft
		}
	case MissingZero:
		if x != x || math.Abs(x) <= float64(float32(1e-35)) {
			return n.DefaultLeft
		}
	case MissingNone:
		if x != x {
			x = 0
		}
	}
	return x <= n.Threshold
}

// plainScore walks every tree for every row: the judge of everything faster.
func plainScore(f *Forest, rows Rows) []float64 {
	out := make([]float64, rows.Len*f.Classes)
	for row := range rows.Len {
		raw := out[row*f.Classes:][:f.Classes]
		copy(raw, f.Base)
		for i := range f.Trees {
			t := &f.Trees[i]
			value := plainLeaf(t, rows, row)
			if f.Library == XGBoost {
				raw[t.Class] = float64(float32(raw[t.Class]) + float32(value))
			} else {
				raw[t.Class] += value
			}
		}
		if f.Average {
			for c := range raw {
				raw[c] /= float64(f.Iterations)
			}
		}
	}
	return out
}

func plainLeaf(t *Tree, rows Rows, row int) float64 {
	at := int32(0)
	if len(t.Nodes) == 0 {
		at = -1
	}
	for at >= 0 {
		n := &t.Nodes[at]
		if goesLeft(t, n, rows.Columns[n.Feature].At(row)) {
			at = n.Left
		} else {
			at = n.Right
		}
	}
	if t.Linear == nil {
		return t.Leaves[^at].Value
	}
	l := &t.Linear[^at]
	sum := l.Const
	for i, feature := range l.Features {
		x := rows.Columns[feature].At(row)
		if x != x {
			return t.Leaves[^at].Value
		}
		sum += float64(l.Coefficients[i] * x)
	}
	return sum
}
