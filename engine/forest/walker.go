package forest

import "math"

// Walker scores rows by walking the trees of the intermediate form, one row at a time. It is the definition of a score
// that every faster scorer is compared with. It is read-only: any number of goroutines may share one.
type Walker struct {
	forest *Forest
}

// NewWalker returns a walker of a validated forest.
func NewWalker(f *Forest) *Walker { return &Walker{forest: f} }

// Raw writes each row's raw scores to dst, row-major with Forest.Classes columns, summed as the training library sums:
// in tree order, float64 for LightGBM, float32 from the base margin for XGBoost. A random forest's sum is divided.
func (w *Walker) Raw(dst []float64, rows Rows) {
	w.Sum(dst, rows)
	w.forest.divide(dst[:rows.Len*w.forest.Classes])
}

// Sum is Raw without the division of random forests: what LightGBM calls their raw score.
func (w *Walker) Sum(dst []float64, rows Rows) {
	f := w.forest
	row := make([]float64, len(f.Features))
	for r := range rows.Len {
		f.gather(row, rows, r)
		f.sum(dst[r*f.Classes:(r+1)*f.Classes], row)
	}
}

// LeafIDs writes the index of the leaf that each row reaches in each tree, row-major with len(Forest.Trees) columns.
func (w *Walker) LeafIDs(dst []int32, rows Rows) {
	f := w.forest
	row := make([]float64, len(f.Features))
	for r := range rows.Len {
		f.gather(row, rows, r)
		for t := range f.Trees {
			dst[r*len(f.Trees)+t] = f.Trees[t].leaf(row)
		}
	}
}

// gather copies a row's values, narrowed to float32 first if the library does so.
func (f *Forest) gather(dst []float64, rows Rows, row int) {
	for i := range dst {
		dst[i] = rows.Columns[i].At(row)
		if f.Library == XGBoost {
			dst[i] = float64(float32(dst[i]))
		}
	}
}

func (f *Forest) sum(dst, row []float64) {
	copy(dst, f.Base)
	for t := range f.Trees {
		tree := &f.Trees[t]
		value := tree.value(tree.leaf(row), row)
		if f.Library == XGBoost {
			dst[tree.Class] = float64(float32(dst[tree.Class]) + float32(value))
			continue
		}
		dst[tree.Class] += value
	}
}

// divide turns the sums of a random forest into averages.
func (f *Forest) divide(sums []float64) {
	if !f.Average || f.Iterations == 0 {
		return
	}
	for i := range sums {
		sums[i] /= float64(f.Iterations)
	}
}

// leaf returns the index of the leaf that a row reaches.
func (t *Tree) leaf(row []float64) int32 {
	if len(t.Nodes) == 0 {
		return 0
	}
	for at := int32(0); ; {
		n := &t.Nodes[at]
		if n.goesLeft(row[n.Feature], t.Sets) {
			at = n.Left
		} else {
			at = n.Right
		}
		if at < 0 {
			return ^at
		}
	}
}

// value returns what a leaf adds: its value, or its linear model if none of that model's inputs is missing.
func (t *Tree) value(leaf int32, row []float64) float64 {
	if t.Linear == nil {
		return t.Leaves[leaf].Value
	}
	l := &t.Linear[leaf]
	sum := l.Const
	for i, feature := range l.Features {
		if math.IsNaN(row[feature]) {
			return t.Leaves[leaf].Value
		}
		sum += float64(l.Coefficients[i] * withoutDust(row[feature]))
	}
	return sum
}

// zeroEdge is the largest size that LightGBM takes for zero, float32(1e-35).
const zeroEdge = float64(float32(1e-35))

// withoutDust returns 0 for what LightGBM takes for zero.
func withoutDust(x float64) float64 {
	if x >= -zeroEdge && x <= zeroEdge {
		return 0
	}
	return x
}

func (n *Node) goesLeft(x float64, sets [][]uint32) bool {
	switch n.Kind {
	case SplitInSet:
		return inSet(sets[n.Set], x)
	case SplitNotInSet:
		if math.IsNaN(x) {
			return n.DefaultLeft
		}
		// XGBoost takes any negative number, also -0.5, for an unknown category.
		return x < 0 || !inSet(sets[n.Set], x)
	case SplitLess:
		if math.IsNaN(x) {
			return n.DefaultLeft
		}
		return x < n.Threshold
	}
	if math.IsNaN(x) && n.Missing != MissingNaN {
		x = 0
	}
	if math.IsNaN(x) || n.Missing == MissingZero && x >= -zeroEdge && x <= zeroEdge {
		return n.DefaultLeft
	}
	return x <= n.Threshold
}

// inSet reports whether a bitset holds x truncated toward zero. NaN, negative and unknown categories are in no set.
func inSet(set []uint32, x float64) bool {
	if !(x > -1 && x < float64(len(set)*32)) {
		return false
	}
	category := uint(x)
	return set[category/32]>>(category%32)&1 != 0
}
