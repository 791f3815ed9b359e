package forest

import "math"

// A kernel's leaf ids are bytes, and its speed per leaf is best while the slots of a tree stay in the first-level
// cache. A larger tree is cut into pieces, each a tree that holds a run of the leaves, from left to right, and the
// nodes above them. All other leaves of a piece are one, of value -0, which changes no sum: every row adds its leaf in
// one piece and nothing in the others, and the bits are those of the whole tree.
const pieceLeaves = 128

// treeCutter restricts a tree to runs of its leaves.
type treeCutter struct {
	tree  *Tree
	first []int32 // by node: the place of its leftmost leaf
	last  []int32 // and one behind its rightmost
	order []int32 // leaves from left to right
	place []int32 // by leaf
}

// cutTree returns the pieces of a tree; a small one is its own.
func cutTree(t *Tree) []*Tree {
	if len(t.Leaves) <= pieceLeaves {
		return []*Tree{t}
	}
	c := &treeCutter{
		tree: t, first: make([]int32, len(t.Nodes)), last: make([]int32, len(t.Nodes)),
		place: make([]int32, len(t.Leaves)),
	}
	c.measure(0)
	parts := (len(t.Leaves) + pieceLeaves - 1) / pieceLeaves
	pieces := make([]*Tree, parts)
	for i := range pieces {
		pieces[i] = c.restrict(int32(i*len(t.Leaves)/parts), int32((i+1)*len(t.Leaves)/parts))
	}
	return pieces
}

// measure goes as deep as the tree, which validation bounds.
func (c *treeCutter) measure(child int32) {
	if child < 0 {
		c.place[^child] = int32(len(c.order))
		c.order = append(c.order, ^child)
		return
	}
	c.first[child] = int32(len(c.order))
	c.measure(c.tree.Nodes[child].Left)
	c.measure(c.tree.Nodes[child].Right)
	c.last[child] = int32(len(c.order))
}

// restrict returns the piece with the leaves at places from … to-1. Its leaf 0 is all others.
func (c *treeCutter) restrict(from, to int32) *Tree {
	piece := &Tree{Sets: c.tree.Sets, Leaves: []Leaf{{Value: math.Copysign(0, -1)}}}
	for _, leaf := range c.order[from:to] {
		piece.Leaves = append(piece.Leaves, c.tree.Leaves[leaf])
	}
	c.copyNode(piece, 0, from, to)
	return piece
}

// copyNode copies what a child holds of the run and returns its number in the piece.
func (c *treeCutter) copyNode(piece *Tree, child, from, to int32) int32 {
	first, last := c.span(child)
	switch {
	case last <= from || first >= to:
		return ^0
	case child < 0:
		return ^(1 + first - from)
	}
	at := int32(len(piece.Nodes))
	node := c.tree.Nodes[child]
	piece.Nodes = append(piece.Nodes, node)
	left := c.copyNode(piece, node.Left, from, to)
	right := c.copyNode(piece, node.Right, from, to)
	piece.Nodes[at].Left, piece.Nodes[at].Right = left, right
	return at
}

// span is the places of a child's leaves.
func (c *treeCutter) span(child int32) (first, last int32) {
	if child < 0 {
		return c.place[^child], c.place[^child] + 1
	}
	return c.first[child], c.last[child]
}
