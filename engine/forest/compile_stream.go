package forest

import (
	"encoding/binary"
	"math"
	"slices"
)

// The kernels do not walk trees. They evaluate every node of a tree for all rows at once, children first, and so read
// a forest as a stream of trees, each starting at a cache line:
//
//	header  {forks, joins, table kind, table bytes} uint32
//	fork    {column offset uint32, threshold ×4, left leaf ×4, right leaf ×4}
//	join    {column offset uint32, threshold ×4, left slot, right slot, result slot, 0 uint16}
//	table   at the next cache line: leaf values by leaf id, padded to whole registers
//
// A fork is a node whose children are both leaves: both ids come with the node. A join is any other node: its operands
// are slots of 64 bytes a pack. Slot i < resultSlots is the result of fork i; a join's result takes the place of one of
// its operands, which are not read again, so that few slots are alive and the first-level cache holds them. Slot
// resultSlots+i holds leaf i everywhere. Leaf ids are the stream's own: leaves that joins read come first.
//
// Nodes stand deepest first, which leaves room between a node and its parent for the latency of store and load.
const (
	streamLeavesMax = 256
	resultSlots     = streamLeavesMax / 2
	slotCount       = resultSlots + streamLeavesMax
	// slotUnits is the distance of slots as nodes hold it: in units of 2 bytes for one pack, of 8 for four.
	slotUnits = 32

	streamHeaderBytes = 16
	streamNodeBytes   = 16

	tableTwo    = 0 // registers that hold the table
	tableFour   = 1
	tableGather = 2
)

// streamTree is a tree on its way into the stream.
type streamTree struct {
	tree   *Tree
	leafID []int32 // by leaf
	slot   []int32 // by node: where its result is
	forks  []int32
	joins  []int32
}

func newStreamTree(t *Tree) *streamTree {
	s := &streamTree{tree: t, leafID: make([]int32, len(t.Leaves)), slot: make([]int32, len(t.Nodes))}
	for _, i := range slices.Backward(breadthFirst(t)) {
		if t.Nodes[i].Left < 0 && t.Nodes[i].Right < 0 {
			s.forks = append(s.forks, i)
		} else {
			s.joins = append(s.joins, i)
		}
	}
	s.number()
	return s
}

// breadthFirst lists the nodes of a tree, parents before children.
func breadthFirst(t *Tree) []int32 {
	if len(t.Nodes) == 0 {
		return nil
	}
	order := make([]int32, 1, len(t.Nodes))
	for i := 0; i < len(order); i++ {
		n := &t.Nodes[order[i]]
		for _, child := range [2]int32{n.Left, n.Right} {
			if child >= 0 {
				order = append(order, child)
			}
		}
	}
	return order
}

// number gives leaves their ids and nodes their slots.
func (s *streamTree) number() {
	id := int32(0)
	for i := range s.leafID {
		s.leafID[i] = -1
	}
	take := func(child int32) {
		if child < 0 && s.leafID[^child] < 0 {
			s.leafID[^child] = id
			id++
		}
	}
	for _, i := range s.joins {
		take(s.tree.Nodes[i].Left)
		take(s.tree.Nodes[i].Right)
	}
	if len(s.leafID) == 1 {
		s.leafID[0] = 0
	}
	for slot, i := range s.forks {
		take(s.tree.Nodes[i].Left)
		take(s.tree.Nodes[i].Right)
		s.slot[i] = int32(slot)
	}
	for _, i := range s.joins {
		n := &s.tree.Nodes[i]
		if n.Left >= 0 {
			s.slot[i] = s.slot[n.Left]
		} else {
			s.slot[i] = s.slot[n.Right]
		}
	}
}

func (s *streamTree) slotOf(child int32) uint16 {
	if child < 0 {
		return uint16(resultSlots+s.leafID[^child]) * slotUnits
	}
	return uint16(s.slot[child]) * slotUnits
}

// appendTo appends the tree to a stream.
func (s *streamTree) appendTo(stream []byte, b *binner, library Library) []byte {
	le := binary.LittleEndian
	kind, size := tableShape(len(s.tree.Leaves), library)
	stream = le.AppendUint32(stream, uint32(max(len(s.forks), 1)))
	stream = le.AppendUint32(stream, uint32(len(s.joins)))
	stream = le.AppendUint32(stream, uint32(kind))
	stream = le.AppendUint32(stream, uint32(size))
	if len(s.forks) == 0 {
		stream = append(stream, make([]byte, 16)...) // a tree of one leaf: a fork to leaf 0 twice
	}
	for _, i := range s.forks {
		n := &s.tree.Nodes[i]
		test := b.split(s.tree, n)
		stream = le.AppendUint32(stream, uint32(test.column*blockRows))
		stream = appendFour(stream, test.threshold)
		stream = appendFour(stream, uint8(s.leafID[^n.Left]))
		stream = appendFour(stream, uint8(s.leafID[^n.Right]))
	}
	for _, i := range s.joins {
		n := &s.tree.Nodes[i]
		test := b.split(s.tree, n)
		stream = le.AppendUint32(stream, uint32(test.column*blockRows))
		stream = appendFour(stream, test.threshold)
		stream = le.AppendUint16(stream, s.slotOf(n.Left))
		stream = le.AppendUint16(stream, s.slotOf(n.Right))
		stream = le.AppendUint16(stream, uint16(s.slot[i])*slotUnits)
		stream = le.AppendUint16(stream, 0)
	}
	stream = appendZeros(stream, -len(stream)&(packRows-1))
	table := len(stream)
	stream = appendZeros(stream, size)
	for leaf, id := range s.leafID {
		v := s.tree.Leaves[leaf].Value
		if library == XGBoost {
			le.PutUint32(stream[table+4*int(id):], math.Float32bits(float32(v)))
		} else {
			le.PutUint64(stream[table+8*int(id):], math.Float64bits(v))
		}
	}
	return stream
}

// tableShape chooses how the values of a tree's leaves are looked up.
func tableShape(leaves int, library Library) (kind, size int) {
	bytes := 8 * leaves
	if library == XGBoost {
		bytes = 4 * leaves
	}
	switch {
	case bytes <= 2*packRows:
		return tableTwo, 2 * packRows
	case bytes <= 4*packRows:
		return tableFour, 4 * packRows
	}
	return tableGather, (bytes + packRows - 1) &^ (packRows - 1)
}

func appendFour(b []byte, v uint8) []byte { return append(b, v, v, v, v) }

func appendZeros(b []byte, n int) []byte { return append(b, make([]byte, n)...) }
