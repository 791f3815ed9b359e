package forest

// build makes the tree from the numbered arrays.
func (t *xgboostTree) build() (Tree, error) {
	inner := t.reached - t.leaves
	m := t.x.meter
	if err := m.take(inner, nodeBytes); err != nil {
		return Tree{}, err
	}
	if err := m.take(t.leaves, leafBytes+4); err != nil {
		return Tree{}, err
	}
	tree := Tree{Leaves: make([]Leaf, 0, t.leaves), LeafNumbers: make([]int32, 0, t.leaves)}
	if inner > 0 {
		tree.Nodes = make([]Node, 0, inner)
	}
	for i := range t.left {
		switch place := t.index[i]; {
		case place == unreached:
		case place < 0:
			tree.Leaves = append(tree.Leaves, Leaf{Value: float64(t.value[i]), Cover: t.cover(i)})
			tree.LeafNumbers = append(tree.LeafNumbers, int32(i))
		default:
			node, err := t.node(i, &tree)
			if err != nil {
				return Tree{}, err
			}
			tree.Nodes = append(tree.Nodes, node)
		}
	}
	return tree, m.step(len(t.left))
}

func (t *xgboostTree) cover(i int) float64 {
	if len(t.hessian) == 0 {
		return 0
	}
	return float64(t.hessian[i])
}

func (t *xgboostTree) node(i int, tree *Tree) (Node, error) {
	n := Node{
		Threshold:   float64(t.value[i]),
		Cover:       t.cover(i),
		Feature:     t.feature[i],
		Left:        t.index[t.left[i]],
		Right:       t.index[t.right[i]],
		Kind:        SplitLess,
		Missing:     MissingNaN,
		DefaultLeft: t.defaultLeft[i] != 0,
	}
	if len(t.isSet) == 0 || t.isSet[i] == 0 {
		return n, nil
	}
	if len(t.setNode) == 0 || t.setOf[i] < 0 {
		return n, inNode(fault(KindCategory, "splits by category but has none"), int32(i))
	}
	set, err := t.set(int(t.setOf[i]))
	if err != nil {
		return n, err
	}
	n.Kind, n.Threshold = SplitNotInSet, 0
	n.Set = int32(len(tree.Sets))
	tree.Sets = append(tree.Sets, set)
	return n, nil
}

// placeSets notes for every node which of the tree's category lists is its own.
func (t *xgboostTree) placeSets() error {
	if len(t.setNode) == 0 {
		return nil
	}
	for len(t.setOf) < len(t.left) {
		var err error
		if t.setOf, err = grow(t.x.meter, t.setOf); err != nil {
			return err
		}
		t.setOf = t.setOf[:cap(t.setOf)]
	}
	for i := range t.left {
		t.setOf[i] = -1
	}
	for s, node := range t.setNode {
		if node < 0 || int(node) >= len(t.left) || t.setOf[node] >= 0 {
			return fieldFault(KindCategory, "categories_nodes", "value %d is out of range or appears twice", s)
		}
		t.setOf[node] = int32(s)
	}
	return nil
}

// set makes a bitset of the category list with the given position.
func (t *xgboostTree) set(s int) ([]uint32, error) {
	start, size, room := t.setStart[s], t.setSize[s], int64(len(t.setCategory))
	if start < 0 || size < 1 || start > room || size > room-start {
		return nil, inNode(fieldFault(KindCategory, "categories_segments", "is empty or out of range"), t.setNode[s])
	}
	// Lists that overlap would let a small file ask for any amount of work.
	if t.setUsed += size; t.setUsed > room {
		return nil, inNode(fieldFault(KindCategory, "categories_sizes", "lists overlap"), t.setNode[s])
	}
	list := t.setCategory[start : start+size]
	largest := int32(0)
	for _, c := range list {
		if c < 0 || int(c) >= t.x.meter.limits.Categories {
			return nil, inNode(fieldFault(KindCategory, "categories", "category %d is out of range", c), t.setNode[s])
		}
		largest = max(largest, c)
	}
	words := int(largest)/32 + 1
	if err := t.x.meter.take(words+2*sliceBytes, 4); err != nil {
		return nil, err
	}
	if err := t.x.meter.step(words + len(list)); err != nil {
		return nil, err
	}
	set := make([]uint32, words)
	for _, c := range list {
		set[c/32] |= 1 << (c % 32)
	}
	return set, nil
}
