package engine

import "github.com/retainwise/millrace/engine/forest"

// Importance returns each feature's share of the total gain of the model's splits. The gain of a split is its training
// rows times the variance of the leaf values between its sides. All shares are 0 if the model file has no row counts.
func Importance(f *forest.Forest) []float64 {
	gains := make([]float64, len(f.Features))
	for i := range f.Trees {
		t := &f.Trees[i]
		if len(t.Nodes) > 0 {
			t := gainTree{t, gains}
			t.addGains(0)
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

// gainTree adds the gains of a tree's splits to gains, by feature.
type gainTree struct {
	*forest.Tree
	gains []float64
}

// addGains visits a node and returns its number of training rows and their mean leaf value.
func (t gainTree) addGains(at int32) (rows, mean float64) {
	if at < 0 {
		leaf := t.Leaves[^at]
		return leaf.Cover, leaf.Value
	}
	n := &t.Nodes[at]
	left, leftMean := t.addGains(n.Left)
	right, rightMean := t.addGains(n.Right)
	rows = left + right
	if !(rows > 0) {
		return 0, 0
	}
	diff := leftMean - rightMean
	t.gains[n.Feature] += float64(left * right / rows * diff * diff)
	return rows, (float64(left*leftMean) + float64(right*rightMean)) / rows
}
