package forest

import (
	"math"
	"slices"
)

// A few rows do not fill a pack. They are walked one by one instead, eight trees side by side, whose walks hide the
// latency of each other's loads.

// fewTrees is eight consecutive trees of a class. The assembly knows its layout.
type fewTrees struct {
	roots [lanes]uint32 // first node of each tree among the small nodes
	steps uint32        // of the deepest tree
	_     uint32
}

// fewGroup is a run of fewTrees, then a tree to be walked alone unless wide is negative.
type fewGroup struct {
	eights []fewTrees
	wide   int
}

// compileFew prepares a class whose trees are lowered. Groups of eight are filled up with the padding tree.
func (c *Compiled) compileFew(run *classRun, padding portableTree) {
	var eights []fewTrees
	filled := lanes
	end := func(wide int) {
		run.few = append(run.few, fewGroup{slices.Clip(eights), wide})
		eights, filled = nil, lanes
	}
	for i := run.first; i < run.last; i++ {
		t := &c.trees[i]
		if t.wide {
			end(i)
			continue
		}
		if filled == lanes {
			eights, filled = append(eights, fewTrees{}), 0
			for lane := range lanes {
				eights[len(eights)-1].roots[lane] = uint32(padding.first)
			}
		}
		last := &eights[len(eights)-1]
		last.roots[filled] = uint32(t.first)
		last.steps = max(last.steps, uint32(t.depth))
		filled++
	}
	end(-1)
}

// paddingTree is one leaf of -0, the number that changes no sum.
func paddingTree() *Tree {
	return &Tree{Leaves: []Leaf{{Value: math.Copysign(0, -1)}}}
}
