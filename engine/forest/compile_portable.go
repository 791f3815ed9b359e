package forest

// Few rows, and trees that the kernels do not take, are walked. Nodes are then integers, children adjacent, so that a
// step is arithmetic without a branch:
//
//	i += step + (threshold < code ? 1 : 0)
//
// A leaf has step 0 and threshold 255, hence stays where it is, and rows of a group need not agree on a depth.
// Small nodes hold trees of up to 128 leaves that the kernel takes, wide nodes all others.
//
//	small  column<<16 | threshold<<8  | step
//	wide   column<<40 | threshold<<32 | step
const (
	leafThreshold  = 255
	smallNodesMax  = 256
	smallColumnMax = 1 << 16
)

// portableNodes holds the trees of a forest back to back. Leaf values stand at the leaf's node; only the list of the
// forest's library is filled.
type portableNodes struct {
	small   []uint32
	wide    []uint64
	small64 []float64
	wide64  []float64
	small32 []float32
	wide32  []float32
	leafOf  []int32 // of wide nodes, if any tree is linear
}

// portableTree is a tree's place in portableNodes.
type portableTree struct {
	first  int
	depth  int
	wide   bool
	leaves []Leaf   // of a linear tree
	linear []Linear // nil unless linear
}

// placedNode is a node or a leaf on its way into portableNodes.
type placedNode struct {
	child int32 // as in Node.Left
	depth int
	step  uint32 // distance to the left child, the right one being next to it; 0 for a leaf
}

// lower appends a tree, wide if it has more leaves than the kernel takes.
func (p *portableNodes) lower(t *Tree, b *binner, library Library, leavesMax int) portableTree {
	placed := placeNodes(t)
	tree := portableTree{first: len(p.small), depth: placed[len(placed)-1].depth, linear: t.Linear}
	tree.wide = t.Linear != nil || len(t.Leaves) > leavesMax ||
		len(placed) >= smallNodesMax || b.columns > smallColumnMax
	if tree.wide {
		tree.first = len(p.wide)
	}
	for _, n := range placed {
		column, threshold, value := 0, uint8(leafThreshold), 0.0 // leaves stay; any column will do
		if n.child >= 0 {
			s := b.split(t, &t.Nodes[n.child])
			column, threshold = s.column, s.threshold
		} else {
			value = t.Leaves[^n.child].Value
		}
		if tree.wide {
			p.wide = append(p.wide, uint64(column)<<40|uint64(threshold)<<32|uint64(n.step))
			p.wide64, p.wide32 = appendValue(p.wide64, p.wide32, value, library)
		} else {
			p.small = append(p.small, uint32(column)<<16|uint32(threshold)<<8|n.step)
			p.small64, p.small32 = appendValue(p.small64, p.small32, value, library)
		}
	}
	if t.Linear != nil {
		tree.leaves = t.Leaves
		p.leafOf = append(p.leafOf, make([]int32, tree.first-len(p.leafOf))...)
		for _, n := range placed {
			p.leafOf = append(p.leafOf, ^n.child)
		}
	}
	return tree
}

func appendValue(v64 []float64, v32 []float32, value float64, library Library) ([]float64, []float32) {
	if library == XGBoost {
		return v64, append(v32, float32(value))
	}
	return append(v64, value), v32
}

// placeNodes orders a tree breadth first, so that the two children of a node are adjacent.
func placeNodes(t *Tree) []placedNode {
	if len(t.Nodes) == 0 {
		return []placedNode{{child: -1}}
	}
	placed := make([]placedNode, 1, 2*len(t.Nodes)+1)
	for i := 0; i < len(placed); i++ {
		n := placed[i]
		if n.child < 0 {
			continue
		}
		placed[i].step = uint32(len(placed) - i)
		node := &t.Nodes[n.child]
		placed = append(placed,
			placedNode{child: node.Left, depth: n.depth + 1}, placedNode{child: node.Right, depth: n.depth + 1})
	}
	return placed
}
