package forest

import (
	"bufio"
	"fmt"

	"github.com/dmitryikh/leaves"
)

// Leaves scores rows with github.com/dmitryikh/leaves, the reference engine. It sees the forest only as a stream made
// from the intermediate form: it can read none of what today's libraries save, and a damaged file can kill it.
//
// LightGBM's raw scores are equal to Walker's to the last bit; XGBoost's differ by up to 4e-6·max(1, |raw|), because
// leaves sums float64. It is read-only: any number of goroutines may share one.
type Leaves struct {
	forest   *Forest
	scores   *leaves.Ensemble // nil if the forest has no trees
	leafIDs  *leaves.Ensemble
	position []int  // in leaves' output of every tree's leaf number
	category []bool // features that XGBoost splits by category
	within   float64
}

// NewLeaves hands a validated forest to leaves. It refuses, with KindUnsupported, what leaves cannot represent.
func NewLeaves(f *Forest) (l *Leaves, err error) {
	if err := leavesRefuses(f); err != nil {
		return nil, err
	}
	l = &Leaves{forest: f, category: categoryFeatures(f), within: leavesTolerance(f)}
	if len(f.Trees) == 0 {
		return l, nil
	}
	defer func() {
		if p := recover(); p != nil {
			l, err = nil, fault(KindUnsupported, "leaves cannot load the model: %v", p)
		}
	}()
	stream := newLeavesStream(f)
	l.scores, err = leaves.LGEnsembleFromReader(bufio.NewReader(stream), false)
	if err != nil {
		return nil, fault(KindUnsupported, "leaves cannot load the model: %v", err)
	}
	l.leafIDs = l.scores.EnsembleWithLeafPredictions()
	l.position = make([]int, len(f.Trees))
	for class, trees := range stream.byClass {
		for round, tree := range trees {
			l.position[tree] = class*stream.rounds() + round
		}
	}
	return l, nil
}

// leavesRefuses names what a forest has that leaves lacks.
func leavesRefuses(f *Forest) error {
	category := categoryFeatures(f)
	for t := range f.Trees {
		tree := &f.Trees[t]
		if tree.Linear != nil {
			return inTree(fault(KindUnsupported, "leaves has no linear trees"), t)
		}
		for i := range tree.Nodes {
			n := &tree.Nodes[i]
			var e *Error
			switch {
			case n.Kind == SplitNotInSet && !n.DefaultLeft:
				e = fault(KindUnsupported, "leaves cannot send a missing category to the right")
			case n.Kind == SplitLess && category[n.Feature]:
				e = fault(KindUnsupported, "leaves cannot split feature %d both by number and by category", n.Feature)
			}
			if e != nil {
				return inTree(inNode(e, int32(i)), t)
			}
		}
	}
	return nil
}

// categoryFeatures marks the features that XGBoost splits by category.
func categoryFeatures(f *Forest) []bool {
	marks := make([]bool, len(f.Features))
	for t := range f.Trees {
		for i := range f.Trees[t].Nodes {
			if n := &f.Trees[t].Nodes[i]; n.Kind == SplitNotInSet {
				marks[n.Feature] = true
			}
		}
	}
	return marks
}

// Raw writes raw scores as Walker.Raw does. It runs on the caller's goroutine alone.
func (l *Leaves) Raw(dst []float64, rows Rows) error {
	f := l.forest
	dst = dst[:rows.Len*f.Classes]
	if l.scores == nil {
		clear(dst)
	} else if err := l.predict(l.scores, f.Classes, rows, func(row int, out []float64) {
		copy(dst[row*f.Classes:], out)
	}); err != nil {
		return err
	}
	for i := range dst {
		dst[i] += f.Base[i%f.Classes]
		if f.Library == XGBoost {
			dst[i] = float64(float32(dst[i]))
		}
	}
	f.divide(dst)
	return nil
}

// Differing counts the rows that leaves scores differently than raw says, beyond what its arithmetic explains: the scores
// of a LightGBM model are equal, those of an XGBoost model as near as a sum in float64 is to one in float32.
func (l *Leaves) Differing(raw []float64, rows Rows) (int, error) {
	own := make([]float64, rows.Len*l.forest.Classes)
	if err := l.Raw(own, rows); err != nil {
		return 0, err
	}
	count := 0
	for from := 0; from < len(own); from += l.forest.Classes {
		to := from + l.forest.Classes
		if differs(own[from:to], raw[from:to], l.within) >= 0 {
			count++
		}
	}
	return count, nil
}

// LeafIDs writes leaf indices as Walker.LeafIDs does.
func (l *Leaves) LeafIDs(dst []int32, rows Rows) error {
	trees := len(l.forest.Trees)
	if l.leafIDs == nil {
		return nil
	}
	return l.predict(l.leafIDs, l.leafIDs.NOutputGroups(), rows, func(row int, out []float64) {
		for t := range trees {
			dst[row*trees+t] = int32(out[l.position[t]])
		}
	})
}

// predict calls use with the width outputs of every row. Leaves starts goroutines, whose panics cannot be
// recovered, unless its number of threads is 1.
func (l *Leaves) predict(e *leaves.Ensemble, width int, rows Rows, use func(row int, out []float64)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("score with leaves: %v", p)
		}
	}()
	const block = 64
	columns := leavesColumns(l.forest)
	in, out := make([]float64, block*columns), make([]float64, block*width)
	for start := 0; start < rows.Len; start += block {
		count := min(block, rows.Len-start)
		for r := range count {
			l.gather(in[r*columns:], rows, start+r)
		}
		if err := e.PredictDense(in[:count*columns], count, columns, out[:count*width], 0, 1); err != nil {
			return fmt.Errorf("score with leaves: %w", err)
		}
		for r := range count {
			use(start+r, out[r*width:(r+1)*width])
		}
	}
	return nil
}

// gather copies a row in the form that makes leaves decide as the library does.
func (l *Leaves) gather(dst []float64, rows Rows, row int) {
	f := l.forest
	f.gather(dst[:len(f.Features)], rows, row)
	for i := range f.Features {
		switch x := dst[i]; {
		case f.Library == LightGBM:
			// Leaves' own range for zero lacks its ends; no threshold lies inside.
			dst[i] = withoutDust(x)
		case l.category[i] && (x < 0 || x >= 1<<24):
			dst[i] = -1 // to XGBoost -0.5 is unknown, to leaves it is category 0
		}
	}
}
