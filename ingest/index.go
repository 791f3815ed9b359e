package ingest

import (
	"math/bits"
)

// indexed is what the index of a window tells besides the positions.
type indexed struct {
	n         int  // separators found
	rows      int  // line ends among them
	open      bool // the window ends inside quotes
	quoted    bool // there are quotes
	violation bool // quoting is broken somewhere
	nul       bool // there is a NUL
	high      bool // there is a byte that is not ASCII
}

// indexMasks writes the position of every field and line end outside quotes to at, counted from base. The text starts
// at a row start; at has room for one position a byte.
func indexMasks(text []byte, delimiter byte, base uint32, at []uint32) indexed {
	var result indexed
	state := quoting{separator: 1}
	pattern := uint64(delimiter) * ones
	for len(text) >= blockBytes {
		result.step((*[blockBytes]byte)(text), &state, pattern, base, at)
		text, base = text[blockBytes:], base+blockBytes
	}
	if len(text) > 0 {
		tail := [blockBytes]byte{}
		for i := range tail {
			tail[i] = ' '
		}
		copy(tail[:], text)
		result.step(&tail, &state, pattern, base, at)
	}
	result.open = state.open != 0
	result.quoted = state.everyQuoted != 0
	result.violation = state.violation != 0
	return result
}

func (r *indexed) step(text *[blockBytes]byte, state *quoting, pattern uint64, base uint32, at []uint32) {
	b := masksOf(text, pattern)
	state.step(&b)
	r.rows += bits.OnesCount64(b.feeds)
	n := r.n
	for mask := b.delimiters | b.feeds; mask != 0; mask &= mask - 1 {
		at[n] = base + uint32(bits.TrailingZeros64(mask))
		n++
	}
	r.n = n
}
