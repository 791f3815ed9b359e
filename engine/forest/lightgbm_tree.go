package forest

import "math"

// Positions in lightgbmTreeKeys.
const (
	treeLeaves = iota
	treeSets
	treeFeature
	treeThreshold
	treeDecision
	treeLeft
	treeRight
	treeLeafValue
	treeLeafCount
	treeNodeCount
	treeSetBounds
	treeSetWords
	treeIsLinear
	treeLeafConst
	treeLinearCounts
	treeLinearFeatures
	treeLinearCoefficients
)

func lightgbmTreeKeys() []string {
	return []string{
		"num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child", "right_child",
		"leaf_value", "leaf_count", "internal_count", "cat_boundaries", "cat_threshold", "is_linear", "leaf_const",
		"num_features", "leaf_features", "leaf_coeff",
	}
}

const (
	nodeBytes   = 40 // of a Node
	leafBytes   = 16 // of a Leaf
	linearBytes = 56 // of a Linear
	sliceBytes  = 24 // of a slice header
)

// lightgbmTree reads trees, one after the other, with the same scratch.
type lightgbmTree struct {
	keys   []string
	fields lightgbmFields
	lines  *lightgbmLines
	tree   Tree
}

func (t *lightgbmTree) read(lines *lightgbmLines) (Tree, error) {
	if t.keys == nil {
		t.keys = lightgbmTreeKeys()
		t.fields = make(lightgbmFields, len(t.keys))
	}
	t.lines, t.tree = lines, Tree{}
	if err := lines.section(t.keys, t.fields); err != nil {
		return Tree{}, err
	}
	for _, step := range []func() error{t.allocate, t.readLeaves, t.readNodes, t.readSets, t.readLinear} {
		if err := step(); err != nil {
			return Tree{}, err
		}
	}
	return t.tree, nil
}

func (t *lightgbmTree) allocate() error {
	leaves, err := t.fields.count(treeLeaves, t.keys, 1)
	if err != nil {
		return err
	}
	// Every leaf takes a digit and a space: what the file cannot hold is not allocated.
	if !mayHold(t.fields[treeLeafValue], leaves) {
		return fieldFault(KindField, "leaf_value", "does not hold %d values", leaves)
	}
	m := t.lines.meter
	if err := m.takeNodes(2*leaves - 1); err != nil {
		return err
	}
	if err := m.take(leaves, nodeBytes+leafBytes); err != nil {
		return err
	}
	t.tree.Leaves = make([]Leaf, leaves)
	if leaves > 1 {
		t.tree.Nodes = make([]Node, leaves-1)
	}
	return nil
}

func (t *lightgbmTree) readLeaves() error {
	leaves := t.tree.Leaves
	err := t.lines.floats("leaf_value", t.fields[treeLeafValue], len(leaves), func(i int, v float64) {
		leaves[i].Value = v
	})
	if err != nil {
		return err
	}
	counts := t.fields[treeLeafCount]
	if counts == nil || len(leaves) == 1 && len(counts) == 0 {
		return nil
	}
	return t.lines.floats("leaf_count", counts, len(leaves), func(i int, v float64) { leaves[i].Cover = v })
}

func (t *lightgbmTree) readNodes() error {
	nodes := t.tree.Nodes
	for _, f := range []struct {
		field int
		set   func(i int, v int32)
	}{
		{treeFeature, func(i int, v int32) { nodes[i].Feature = v }},
		{treeLeft, func(i int, v int32) { nodes[i].Left = v }},
		{treeRight, func(i int, v int32) { nodes[i].Right = v }},
	} {
		if err := t.lines.ints(t.keys[f.field], t.fields[f.field], len(nodes), f.set); err != nil {
			return err
		}
	}
	err := t.lines.floats("threshold", t.fields[treeThreshold], len(nodes), func(i int, v float64) {
		nodes[i].Threshold = v
	})
	if err != nil {
		return err
	}
	if counts := t.fields[treeNodeCount]; counts != nil {
		err := t.lines.floats("internal_count", counts, len(nodes), func(i int, v float64) { nodes[i].Cover = v })
		if err != nil {
			return err
		}
	}
	return t.readDecisions()
}

// settleThreshold moves a threshold that lies within the size that LightGBM takes for zero. Its predictor replaces
// every such input by 0 before it looks at a tree; with the threshold at the edge of that range, comparing the input as
// it is gives the same answer, and no scorer has to know.
func settleThreshold(t float64) float64 {
	switch {
	case t >= -zeroEdge && t < 0:
		return math.Nextafter(-zeroEdge, math.Inf(-1))
	case t >= 0 && t < zeroEdge:
		return zeroEdge
	}
	return t
}

// readDecisions reads decision_type: bit 0 categorical, bit 1 default left, bits 2 and 3 the missing type.
func (t *lightgbmTree) readDecisions() error {
	nodes, bad := t.tree.Nodes, -1
	err := t.lines.ints("decision_type", t.fields[treeDecision], len(nodes), func(i int, v int32) {
		missing := v >> 2 & 3
		if v&^0xf != 0 || missing == 3 {
			bad = i
			return
		}
		nodes[i].Missing = Missing(missing)
		nodes[i].DefaultLeft = v&2 != 0
		if v&1 != 0 {
			nodes[i].Kind = SplitInSet
		}
	})
	if err != nil {
		return err
	}
	if bad >= 0 {
		e := fieldFault(KindCategory, "decision_type", "names a missing type that does not exist")
		e.Node = bad
		return e
	}
	return nil
}

// readSets reads the category sets: set s is the words cat_boundaries[s] to cat_boundaries[s+1] of cat_threshold, and
// a categorical node's threshold is its set.
func (t *lightgbmTree) readSets() error {
	sets := 0
	if t.fields[treeSets] != nil {
		var err error
		if sets, err = t.fields.count(treeSets, t.keys, 0); err != nil {
			return err
		}
	}
	if sets > 0 {
		if err := t.cutSets(sets); err != nil {
			return err
		}
	}
	for i := range t.tree.Nodes {
		n := &t.tree.Nodes[i]
		if n.Kind != SplitInSet {
			n.Threshold = settleThreshold(n.Threshold)
			continue
		}
		if !(n.Threshold >= 0 && n.Threshold < float64(sets)) || n.Threshold != float64(int32(n.Threshold)) {
			e := fieldFault(KindCategory, "threshold", "is no index of a category set")
			e.Node = i
			return e
		}
		n.Set, n.Threshold = int32(n.Threshold), 0
	}
	return nil
}

func (t *lightgbmTree) cutSets(sets int) error {
	bounds, text := t.fields[treeSetBounds], t.fields[treeSetWords]
	if !mayHold(bounds, sets+1) {
		return fieldFault(KindCategory, "cat_boundaries", "does not hold %d values", sets+1)
	}
	if err := t.lines.meter.take(sets+1, sliceBytes+4); err != nil {
		return err
	}
	starts := make([]int32, sets+1)
	err := t.lines.ints("cat_boundaries", bounds, sets+1, func(i int, v int32) { starts[i] = v })
	if err != nil {
		return err
	}
	for i, start := range starts {
		if i == 0 && start != 0 || i > 0 && start <= starts[i-1] {
			return fieldFault(KindCategory, "cat_boundaries", "value %d does not ascend from 0", i)
		}
	}
	words, err := t.readSetWords(text, int(starts[sets]))
	if err != nil {
		return err
	}
	t.tree.Sets = make([][]uint32, sets)
	for s := range t.tree.Sets {
		t.tree.Sets[s] = words[starts[s]:starts[s+1]:starts[s+1]]
	}
	return nil
}

func (t *lightgbmTree) readSetWords(text []byte, count int) ([]uint32, error) {
	if !mayHold(text, count) {
		return nil, fieldFault(KindCategory, "cat_threshold", "does not hold %d values", count)
	}
	if err := t.lines.meter.take(count, 4); err != nil {
		return nil, err
	}
	words := make([]uint32, count)
	err := t.lines.eachToken("cat_threshold", text, count, func(i int, token []byte) error {
		v, ok := parseInt(token)
		if !ok || v < 0 || v>>32 != 0 {
			return fieldFault(KindCategory, "cat_threshold", "value %d: %s is no 32-bit word", i, clipped(token))
		}
		words[i] = uint32(v)
		return nil
	})
	return words, err
}
