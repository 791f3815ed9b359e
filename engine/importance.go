package engine

import "github.com/retainwise/millrace/engine/forest"

// importance gives every feature's share of what the model's splits tell apart: at each split, the rows of training
// times the variance of the leaves' values between its two sides. All shares are 0 if the file does not say how many
// rows went where.
func importance(f *forest.Forest) []float64 {
	gains := make([]float64, len(f.Features))
	for i := range f.Trees {
		t := &f.Trees[i]
		if len(t.Nodes) > 0 {
			t := gainTree{t, gains}
			t.split(0)
		}
	}
	total := 0.0
	for _, g := range gains {
		total += g
	}
	if !(total > 0) {
		clear(gains)
		return gains
	}
	for i := range gains {
		gains[i] /= total
	}
	return gains
}

// gainTree adds the gains of a tree's splits up, feature by feature.
type gainTree struct {
	*forest.Tree
	gains []float64
}

// split returns how many rows of training came to a node, and the mean of the leaves' values that they were given.
func (t gainTree) split(at int32) (rows, mean float64) {
	if at < 0 {
		leaf := t.Leaves[^at]
		return leaf.Cover, leaf.Value
	}
	n := &t.Nodes[at]
	left, leftMean := t.split(n.Left)
	right, rightMean := t.split(n.Right)
	rows = left + right
	if !(rows > 0) {
		return 0, 0
	}
	apart := leftMean - rightMean
	t.gains[n.Feature] += float64(left * right / rows * apart * apart)
	return rows, (float64(left*leftMean) + float64(right*rightMean)) / rows
}
