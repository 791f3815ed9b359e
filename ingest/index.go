package ingest

import (
	"bytes"
	"math/bits"
)

// indexed is what the index of a window tells besides the positions.
type indexed struct {
	n         int  // separators found
	rows      int  // line ends among them
	open      bool // the window ends inside quotes
	violation bool // quoting is broken somewhere
	nul       bool // there is a NUL
	high      bool // there may be a byte that is not ASCII
}

// indexPortable writes the position of every field and line end outside quotes to at, counted from base. The text starts
// at a row start; at has room for one position a byte.
func indexPortable(text []byte, delimiter byte, base uint32, at []uint32) indexed {
	result := indexed{nul: bytes.IndexByte(text, 0) >= 0, high: true}
	state := quoting{separator: 1}
	pattern := uint64(delimiter) * ones
	for len(text) >= blockBytes {
		b := masksOf((*[blockBytes]byte)(text), pattern)
		state.step(&b, everyByte)
		result.add(&b, base, at)
		text, base = text[blockBytes:], base+blockBytes
	}
	if len(text) > 0 {
		var tail [blockBytes]byte
		copy(tail[:], text)
		b := masksOf(&tail, pattern)
		state.step(&b, firstBytes(len(text)))
		result.add(&b, base, at)
	}
	result.open = state.open != 0
	result.violation = state.violation != 0
	return result
}

// add writes the positions of a block.
func (r *indexed) add(b *block, base uint32, at []uint32) {
	r.rows += bits.OnesCount64(b.feeds)
	n := r.n
	for mask := b.delimiters | b.feeds; mask != 0; mask &= mask - 1 {
		at[n] = base + uint32(bits.TrailingZeros64(mask))
		n++
	}
	r.n = n
}
