package forest

import (
	"encoding/binary"
	"math"
	"slices"
)

// A row stream is a class for the kernel that scores one row with trees in the lanes of a register. Every group of
// trees is
//
//	header  {chunks uint32} padded to a cache line; then per lane where its values start, counted in values
//	chunk   64 columns, 64 thresholds, and per node of each lane the leaves that survive when the test goes right;
//	        byte node*lanes+lane of a chunk is the test of a node of the lane's tree
//	values  bits per lane
//
// Leaves are numbered from left to right, the first in the highest bit of its lane.
const (
	rowColumnsMax = 128 // what one permutation reaches
	rowBitsMax    = 64
)

// rowStreamTrees bounds the time of one call of the kernel.
const rowStreamTrees = 1 << 13

// rowStream is consecutive trees of a class.
type rowStream struct {
	stream []byte
	groups int
	bits   int // of a lane, and leaves of a tree at most: 32 or 64
}

// rowTree is a tree with its leaves numbered from left to right.
type rowTree struct {
	tests []rowTest
	left  []int32 // leaves in order
}

type rowTest struct {
	node        *Node
	first, last int // its left subtree's leaves
}

func newRowTree(t *Tree) *rowTree {
	r := &rowTree{}
	if len(t.Nodes) == 0 {
		r.left = []int32{0}
	} else {
		r.visit(t, 0)
	}
	return r
}

// visit is bounded by rowBitsMax leaves.
func (r *rowTree) visit(t *Tree, child int32) {
	if child < 0 {
		r.left = append(r.left, ^child)
		return
	}
	test := rowTest{node: &t.Nodes[child], first: len(r.left)}
	r.visit(t, test.node.Left)
	test.last = len(r.left)
	r.tests = append(r.tests, test)
	r.visit(t, test.node.Right)
}

// survivors is the mask of a test that goes right.
func (t *rowTest) survivors(bits int) uint64 {
	struck := uint64(1)<<(t.last-t.first) - 1 // at most bits-1 leaves
	return ^(struck << (bits - t.last))
}

// newRowStreams lays the trees of a class out, or returns nothing if they do not fit.
func newRowStreams(trees []*Tree, b *binner, library Library) (streams []rowStream) {
	bits := 32
	for _, t := range trees {
		if len(t.Leaves) > 32 {
			bits = rowBitsMax
		}
		if len(t.Leaves) > rowBitsMax {
			return nil
		}
	}
	if b.columns > rowColumnsMax {
		return nil
	}
	for part := range slices.Chunk(trees, rowStreamTrees) {
		streams = append(streams, newRowStream(part, bits, b, library))
	}
	return streams
}

func newRowStream(trees []*Tree, bits int, b *binner, library Library) rowStream {
	r := rowStream{bits: bits}
	var stream []byte
	for group := range slices.Chunk(trees, 512/bits) {
		stream = r.appendGroup(stream, group, b, library)
		r.groups++
	}
	r.stream = alignedBytes(len(stream))
	copy(r.stream, stream)
	return r
}

func (r *rowStream) appendGroup(stream []byte, trees []*Tree, b *binner, library Library) []byte {
	le, lanes := binary.LittleEndian, 512/r.bits
	nodesPerChunk := packRows / lanes
	rows, nodes := make([]*rowTree, lanes), 1
	for lane := range rows {
		rows[lane] = newRowTree(paddingTree())
		if lane < len(trees) {
			rows[lane] = newRowTree(trees[lane])
		}
		nodes = max(nodes, len(rows[lane].tests))
	}
	chunks := (nodes + nodesPerChunk - 1) / nodesPerChunk
	stream = appendZeros(le.AppendUint32(stream, uint32(chunks)), packRows-4)
	for lane := range lanes {
		stream = r.appendLane(stream, uint64(lane*r.bits))
	}
	for chunk := range chunks {
		at := len(stream)
		stream = appendZeros(stream, 2*packRows)
		for node := range nodesPerChunk {
			for lane := range lanes {
				i, byteAt, survivors := chunk*nodesPerChunk+node, at+node*lanes+lane, uint64(math.MaxUint64)
				stream[byteAt+packRows] = leafThreshold // nothing is above it: no test
				if i < len(rows[lane].tests) {
					test := &rows[lane].tests[i]
					s := b.split(trees[lane], test.node)
					stream[byteAt], stream[byteAt+packRows] = uint8(s.column), s.threshold
					survivors = test.survivors(r.bits)
				}
				stream = r.appendLane(stream, survivors)
			}
		}
	}
	return r.appendValues(stream, trees, rows, library)
}

// appendLane appends a number of a lane's width.
func (r *rowStream) appendLane(stream []byte, v uint64) []byte {
	if r.bits == 32 {
		return binary.LittleEndian.AppendUint32(stream, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(stream, v)
}

func (r *rowStream) appendValues(stream []byte, trees []*Tree, rows []*rowTree, library Library) []byte {
	for lane, row := range rows {
		for i := range r.bits {
			value := math.Copysign(0, -1)
			if lane < len(trees) && i < len(row.left) {
				value = trees[lane].Leaves[row.left[i]].Value
			}
			if library == XGBoost {
				stream = binary.LittleEndian.AppendUint32(stream, math.Float32bits(float32(value)))
			} else {
				stream = binary.LittleEndian.AppendUint64(stream, math.Float64bits(value))
			}
		}
	}
	return stream
}
