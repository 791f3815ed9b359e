package forest_test

import (
	"math"
	"math/bits"

	"github.com/retainwise/millrace/engine/forest"
)

// bruteContributions is the definition of the Shapley value: 2^n subsets of features, each with the expected raw score
// when only the subset is known. It shares no code with the package, walks trees from the root, and is laid out like
// the result of Contributions.
func bruteContributions(f *forest.Forest, rows forest.Rows) []float64 {
	n := len(f.Features)
	factorial := []float64{1}
	for i := 1; i <= n; i++ {
		factorial = append(factorial, factorial[i-1]*float64(i))
	}
	var out []float64
	for row := range rows.Len {
		x := shapRowAt(rows, row)
		for class := range f.Classes {
			game := make([]float64, 1<<n)
			for known := range game {
				game[known] = bruteExpected(f, class, x, known)
			}
			for i := range n {
				phi := 0.0
				for known := range game {
					if known>>i&1 == 0 {
						size := bits.OnesCount(uint(known))
						weight := factorial[size] * factorial[n-size-1] / factorial[n]
						phi += weight * (game[known|1<<i] - game[known])
					}
				}
				out = append(out, phi)
			}
			out = append(out, game[0])
		}
	}
	return out
}

// bruteExpected is the expected raw score of a class when the features in known have the values of x.
func bruteExpected(f *forest.Forest, class int, x []float64, known int) float64 {
	sum := 0.0
	for i := range f.Trees {
		if t := &f.Trees[i]; t.Class == class {
			root := int32(0)
			if len(t.Nodes) == 0 {
				root = -1
			}
			sum += bruteTree(t, root, x, known)
		}
	}
	if f.Average {
		sum /= float64(f.Iterations)
	}
	return f.Base[class] + sum
}

func bruteTree(t *forest.Tree, at int32, x []float64, known int) float64 {
	if at < 0 {
		return bruteLeaf(t, ^at, x, known)
	}
	n := &t.Nodes[at]
	if known>>n.Feature&1 == 1 {
		if bruteLeft(t, n, x[n.Feature]) {
			return bruteTree(t, n.Left, x, known)
		}
		return bruteTree(t, n.Right, x, known)
	}
	return bruteShare(t, n, n.Left)*bruteTree(t, n.Left, x, known) +
		bruteShare(t, n, n.Right)*bruteTree(t, n.Right, x, known)
}

// bruteLeaf is a leaf's value, or its linear model if that model's feature is known and there.
func bruteLeaf(t *forest.Tree, leaf int32, x []float64, known int) float64 {
	if t.Linear != nil && len(t.Linear[leaf].Features) == 1 {
		l := &t.Linear[leaf]
		feature := l.Features[0]
		if known>>feature&1 == 1 && !math.IsNaN(x[feature]) {
			if math.Abs(x[feature]) <= 1.0000000180025095e-35 {
				return l.Const
			}
			return l.Const + l.Coefficients[0]*x[feature]
		}
	}
	return t.Leaves[leaf].Value
}

func bruteShare(t *forest.Tree, n *forest.Node, child int32) float64 {
	if n.Cover == 0 {
		return 0.5
	}
	if child < 0 {
		return t.Leaves[^child].Cover / n.Cover
	}
	return t.Nodes[child].Cover / n.Cover
}

func bruteLeft(t *forest.Tree, n *forest.Node, x float64) bool {
	missing := math.IsNaN(x)
	inSet := false
	if n.Kind == forest.SplitInSet || n.Kind == forest.SplitNotInSet {
		category := math.Trunc(x)
		set := t.Sets[n.Set]
		for c := range 32 * len(set) {
			inSet = inSet || float64(c) == category && set[c/32]>>(c%32)&1 == 1
		}
	}
	switch {
	case n.Kind == forest.SplitInSet:
		return inSet
	case n.Kind == forest.SplitNotInSet && missing:
		return n.DefaultLeft
	case n.Kind == forest.SplitNotInSet:
		return !inSet || x < 0
	case n.Missing == forest.MissingZero && (missing || math.Abs(x) <= 1.0000000180025095e-35):
		return n.DefaultLeft
	case n.Missing == forest.MissingNaN && missing:
		return n.DefaultLeft
	case missing:
		x = 0
	}
	if n.Kind == forest.SplitLess {
		return float32(x) < float32(n.Threshold)
	}
	return x <= n.Threshold
}
