package forest

import (
	"encoding/binary"
	"math"
)

// The portable kernel evaluates the same stream as the others, with eight rows in a 64-bit word: one byte a row.

const (
	wordRows   = 8
	blockWords = blockRows / wordRows

	topBits  = 0x8080808080808080
	everyOne = 0x0101010101010101
)

// wordSlot holds one byte for every row of a block.
type wordSlot [blockWords]uint64

// newWordSlots returns the slots of the stream, the constant ones filled.
func newWordSlots() []wordSlot {
	slots := make([]wordSlot, slotCount)
	for leaf := range uint64(streamLeavesMax) {
		for w := range slots[resultSlots+leaf] {
			slots[resultSlots+leaf][w] = leaf * everyOne
		}
	}
	return slots
}

// wordNode is a node of the stream.
type wordNode []byte

func (n wordNode) column(codes []uint8) *[blockRows]uint8 {
	return (*[blockRows]uint8)(codes[binary.LittleEndian.Uint32(n):])
}

func (n wordNode) threshold() uint64 { return uint64(n[4]) * everyOne }

func (n wordNode) slot(i int) uint16 { return binary.LittleEndian.Uint16(n[8+2*i:]) / slotUnits }

// addWords adds a group of trees to the sums of so many rows, which start at a place among the sums.
func (s *Scorer) addWords(g *group, codes []uint8, at, rows int) {
	words := (rows + wordRows - 1) / wordRows
	for stream := g.stream; len(stream) > 0; {
		size := int(binary.LittleEndian.Uint32(stream[12:]))
		root, end := s.evaluate(stream, codes, words)
		if s.sum32 != nil {
			addLeaves32(stream[end:], root, s.sum32[at:], words)
		} else {
			addLeaves64(stream[end:], root, s.sum64[at:], words)
		}
		stream = stream[end+size:]
	}
}

// evaluate returns the slot of the root of the stream's first tree, and where the tree's table is.
func (s *Scorer) evaluate(stream, codes []uint8, words int) (root *wordSlot, end int) {
	forks := int(binary.LittleEndian.Uint32(stream))
	joins := int(binary.LittleEndian.Uint32(stream[4:]))
	end = streamHeaderBytes
	for i := range forks {
		root = &s.words[i]
		fork(stream[end:end+streamNodeBytes], codes, root, words)
		end += streamNodeBytes
	}
	for range joins {
		n := wordNode(stream[end : end+streamNodeBytes])
		root = &s.words[n.slot(2)]
		join(n, codes, &s.words[n.slot(0)], &s.words[n.slot(1)], root, words)
		end += streamNodeBytes
	}
	return root, (end + packRows - 1) &^ (packRows - 1)
}

// fork picks between two leaves. A byte's subtraction leaves its high bit set where the low seven bits are not above
// the threshold's; what the eighth bits say about that depends on the threshold alone.
func fork(n wordNode, codes []uint8, result *wordSlot, words int) {
	column, threshold := n.column(codes), n.threshold()
	right := uint64(n[12]) * everyOne
	differ := uint64(n[8])*everyOne ^ right
	least := threshold | topBits
	if threshold&topBits == 0 {
		for w := range result[:words] {
			x := wordOf(column, w)
			left := (least - x&^topBits) &^ x & topBits
			result[w] = right ^ differ&(left<<1-left>>7)
		}
		return
	}
	for w := range result[:words] {
		x := wordOf(column, w)
		left := (least - x&^topBits | ^x) & topBits
		result[w] = right ^ differ&(left<<1-left>>7)
	}
}

// join picks between two slots; result is one of them.
func join(n wordNode, codes []uint8, left, right, result *wordSlot, words int) {
	column, threshold := n.column(codes), n.threshold()
	least := threshold | topBits
	if threshold&topBits == 0 {
		for w := range result[:words] {
			x := wordOf(column, w)
			goes := (least - x&^topBits) &^ x & topBits
			result[w] = right[w] ^ (left[w]^right[w])&(goes<<1-goes>>7)
		}
		return
	}
	for w := range result[:words] {
		x := wordOf(column, w)
		goes := (least - x&^topBits | ^x) & topBits
		result[w] = right[w] ^ (left[w]^right[w])&(goes<<1-goes>>7)
	}
}

func wordOf(column *[blockRows]uint8, w int) uint64 {
	return binary.LittleEndian.Uint64(column[w*wordRows : w*wordRows+wordRows])
}

// addLeaves64 adds the values of the leaves that the bytes of a slot name.
func addLeaves64(table []byte, leaves *wordSlot, sums []float64, words int) {
	for w, ids := range leaves[:words] {
		out := (*[wordRows]float64)(sums[w*wordRows:])
		for i := range out {
			leaf := uint8(ids >> (wordRows * i))
			out[i] += math.Float64frombits(binary.LittleEndian.Uint64(table[8*int(leaf):]))
		}
	}
}

func addLeaves32(table []byte, leaves *wordSlot, sums []float32, words int) {
	for w, ids := range leaves[:words] {
		out := (*[wordRows]float32)(sums[w*wordRows:])
		for i := range out {
			leaf := uint8(ids >> (wordRows * i))
			out[i] += math.Float32frombits(binary.LittleEndian.Uint32(table[4*int(leaf):]))
		}
	}
}
