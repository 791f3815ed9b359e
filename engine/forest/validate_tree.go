package forest

import "math"

// treeValidator checks trees, one after the other, with the same scratch.
type treeValidator struct {
	forest *Forest
	limits Limits
	nodes  int // that the forest may still have
	tree   *Tree
	inner  []bool // node was reached
	leaves []bool // leaf was reached
	stack  []pendingNode
}

// pendingNode is a node whose children are still to be visited.
type pendingNode struct{ node, depth int32 }

func (v *treeValidator) validate(t *Tree) error {
	v.tree = t
	if v.nodes -= len(t.Nodes) + len(t.Leaves); v.nodes < 0 {
		return fault(KindLimits, "model has more than %d nodes", v.limits.Nodes)
	}
	switch {
	case t.Class < 0 || t.Class >= v.forest.Classes:
		return fault(KindShape, "class %d is out of range", t.Class)
	case len(t.Leaves) != len(t.Nodes)+1:
		return fault(KindTree, "%d inner nodes and %d leaves are no binary tree", len(t.Nodes), len(t.Leaves))
	case t.LeafNumbers != nil && len(t.LeafNumbers) != len(t.Leaves):
		return fault(KindTree, "%d leaf numbers for %d leaves", len(t.LeafNumbers), len(t.Leaves))
	}
	for _, check := range []func() error{v.checkSets, v.checkNodes, v.checkLeaves, v.checkLinear, v.checkShape} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (v *treeValidator) checkSets() error {
	for i, set := range v.tree.Sets {
		if len(set)*32 > (v.limits.Categories+31)/32*32 {
			return fault(KindCategory, "set %d has categories of %d and more", i, v.limits.Categories)
		}
		empty := true
		for _, word := range set {
			empty = empty && word == 0
		}
		if empty {
			return fault(KindCategory, "set %d is empty", i)
		}
	}
	return nil
}

func (v *treeValidator) checkNodes() error {
	for i := range v.tree.Nodes {
		if e := v.checkNode(&v.tree.Nodes[i]); e != nil {
			e.Node = i
			return e
		}
	}
	return nil
}

func (v *treeValidator) checkNode(n *Node) *Error {
	if n.Feature < 0 || int(n.Feature) >= len(v.forest.Features) {
		return fault(KindFeature, "splits on feature %d of %d", n.Feature, len(v.forest.Features))
	}
	if math.IsNaN(n.Threshold) {
		return fault(KindValue, "threshold is NaN")
	}
	isSet := n.Kind == SplitInSet || n.Kind == SplitNotInSet
	if isSet && (n.Set < 0 || int(n.Set) >= len(v.tree.Sets)) {
		return fault(KindCategory, "set %d is out of range", n.Set)
	}
	if v.forest.Library == LightGBM {
		if n.Kind != SplitLessEqual && n.Kind != SplitInSet || n.Missing > MissingNaN {
			return fault(KindUnsupported, "split is none of LightGBM's")
		}
		return nil
	}
	if n.Kind != SplitLess && n.Kind != SplitNotInSet || n.Missing != MissingNaN {
		return fault(KindUnsupported, "split is none of XGBoost's")
	}
	if float64(float32(n.Threshold)) != n.Threshold {
		return fault(KindValue, "threshold is no float32")
	}
	return nil
}

func (v *treeValidator) checkLeaves() error {
	narrow := v.forest.Library == XGBoost
	for i := range v.tree.Leaves {
		value := v.tree.Leaves[i].Value
		if !isFinite(value) || narrow && float64(float32(value)) != value {
			return fault(KindValue, "leaf %d is not finite", i)
		}
	}
	return nil
}

func (v *treeValidator) checkLinear() error {
	if v.tree.Linear == nil {
		return nil
	}
	if v.forest.Library != LightGBM || len(v.tree.Linear) != len(v.tree.Leaves) {
		return fault(KindField, "%d linear models for %d leaves", len(v.tree.Linear), len(v.tree.Leaves))
	}
	for i := range v.tree.Linear {
		l := &v.tree.Linear[i]
		if len(l.Features) != len(l.Coefficients) || !isFinite(l.Const) {
			return fault(KindValue, "linear model of leaf %d is malformed", i)
		}
		for j, feature := range l.Features {
			if feature < 0 || int(feature) >= len(v.forest.Features) {
				return fault(KindFeature, "linear model of leaf %d uses feature %d", i, feature)
			}
			if !isFinite(l.Coefficients[j]) {
				return fault(KindValue, "coefficient of leaf %d is not finite", i)
			}
		}
	}
	return nil
}

// checkShape visits every node from the root and refuses whatever is not reached by exactly one path. As there is one
// leaf more than inner nodes, no part that is reached twice can hide a part that is not reached.
func (v *treeValidator) checkShape() error {
	if len(v.tree.Nodes) == 0 {
		return nil
	}
	v.inner = cleared(v.inner, len(v.tree.Nodes))
	v.leaves = cleared(v.leaves, len(v.tree.Leaves))
	v.inner[0] = true
	v.stack = append(v.stack[:0], pendingNode{node: 0, depth: 1})
	reached := 1
	for len(v.stack) > 0 {
		p := v.stack[len(v.stack)-1]
		v.stack = v.stack[:len(v.stack)-1]
		if int(p.depth) > v.limits.Depth {
			return fault(KindLimits, "tree is deeper than %d", v.limits.Depth)
		}
		n := &v.tree.Nodes[p.node]
		for _, child := range [2]int32{n.Left, n.Right} {
			if e := v.enter(child, p.depth+1); e != nil {
				return inNode(e, p.node)
			}
			reached++
		}
	}
	if reached != len(v.tree.Nodes)+len(v.tree.Leaves) {
		return fault(KindTree, "only %d of %d nodes and leaves are reached", reached,
			len(v.tree.Nodes)+len(v.tree.Leaves))
	}
	return nil
}

func (v *treeValidator) enter(child, depth int32) *Error {
	reached, i := v.inner, int(child)
	if child < 0 {
		reached, i = v.leaves, int(^child)
	}
	if i >= len(reached) {
		return fault(KindTree, "child %d is out of range", child)
	}
	if reached[i] {
		return fault(KindTree, "child %d has two parents", child)
	}
	reached[i] = true
	if child >= 0 {
		v.stack = append(v.stack, pendingNode{node: child, depth: depth})
	}
	return nil
}

func cleared(scratch []bool, n int) []bool {
	if cap(scratch) < n {
		return make([]bool, n)
	}
	scratch = scratch[:n]
	clear(scratch)
	return scratch
}
