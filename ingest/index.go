package ingest

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// indexed is what the index of a window tells besides the positions.
type indexed struct {
	n         int  // separators found
	rows      int  // line ends among them
	open      bool // the window ends inside quotes
	violation bool // quoting is broken somewhere
	nul       bool // there is a NUL
	high      bool // there is a byte that is not ASCII
}

// indexPortable writes the position of every field and line end outside quotes to at, counted from base. The text
// starts at a row start; at has room for one position a byte and slack more.
func indexPortable(text []byte, delimiter byte, base uint32, at []uint32) indexed {
	if bytes.IndexByte(text, '"') < 0 {
		return indexUnquoted(text, delimiter, base, at)
	}
	state := atRowStart()
	pattern := uint64(delimiter) * ones
	n := 0
	for ; len(text) >= blockBytes; text, base = text[blockBytes:], base+blockBytes {
		n += state.index((*[blockBytes]byte)(text), pattern, base, at[n:])
	}
	if len(text) > 0 {
		tail := state.tail(text)
		n += state.index(&tail, pattern, base, at[n:])
	}
	return state.indexed(n)
}

// indexUnquoted is indexPortable for text without quotes, eight bytes at a time.
func indexUnquoted(text []byte, delimiter byte, base uint32, at []uint32) indexed {
	result := indexed{rows: bytes.Count(text, []byte{'\n'}), nul: bytes.IndexByte(text, 0) >= 0}
	pattern := uint64(delimiter) * ones
	high, n := uint64(0), 0
	for ; len(text) >= 8; text, base = text[8:], base+8 {
		word := binary.LittleEndian.Uint64(text)
		high |= word
		for found := sameBytes(word, pattern) | sameBytes(word, '\n'*ones); found != 0; found &= found - 1 {
			at[n] = base + uint32(bits.TrailingZeros64(found))/8
			n++
		}
	}
	for i, b := range text {
		high |= uint64(b)
		if b == delimiter || b == '\n' {
			at[n] = base + uint32(i)
			n++
		}
	}
	result.n, result.high = n, high&highBits != 0
	return result
}

// tail fills the last bytes of a text up to a block.
func (s *maskState) tail(text []byte) (block [blockBytes]byte) {
	for i := copy(block[:], text); i < blockBytes; i++ {
		block[i] = ' ' // a NUL would be seen
	}
	s.valid = firstBytes(len(text))
	return block
}

func (s *maskState) indexed(n int) indexed {
	return indexed{
		n: n, rows: int(s.rows), open: s.open != 0, violation: s.violation != 0, nul: s.nul != 0, high: s.high != 0,
	}
}

// index writes the positions of a block.
func (s *maskState) index(text *[blockBytes]byte, pattern uint64, base uint32, at []uint32) (n int) {
	b := masksOf(text, pattern)
	s.nul |= b.nul
	s.high |= b.high
	s.step(&b)
	s.rows += popcount(b.feeds)
	for mask := b.delimiters | b.feeds; mask != 0; mask &= mask - 1 {
		at[n] = base + uint32(bits.TrailingZeros64(mask))
		n++
	}
	return n
}
