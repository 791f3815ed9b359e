package kernels

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Indexed is what the index of a window has besides the positions.
type Indexed struct {
	N         int  // separators found
	Rows      int  // line ends among them
	Open      bool // the window ends inside quotes
	Violation bool // quoting is broken somewhere
	NUL       bool // there is a NUL
	High      bool // there is a byte that is not ASCII
}

// indexPortable writes the position of every field and line end outside quotes to at, counted from base. The text
// starts at a row start; at has room for one position a byte and Slack more.
func indexPortable(text []byte, delimiter byte, base uint32, at []uint32) Indexed {
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

// indexUnquoted is indexPortable for text without quotes, which needs less to be known of each byte.
func indexUnquoted(text []byte, delimiter byte, base uint32, at []uint32) Indexed {
	result := Indexed{Rows: bytes.Count(text, []byte{'\n'}), NUL: bytes.IndexByte(text, 0) >= 0}
	pattern := uint64(delimiter) * ones
	high := uint64(0)
	for ; len(text) >= blockBytes; text, base = text[blockBytes:], base+blockBytes {
		block := (*[blockBytes]byte)(text)
		mask := uint64(0)
		for i := 0; i < blockBytes; i += 8 {
			word := binary.LittleEndian.Uint64(block[i:])
			high |= word
			found := sameBytes(word, pattern) | sameBytes(word, '\n'*ones)
			mask |= found >> 7 * gather >> 56 << i
		}
		result.N += positionsOf(mask, base, at[result.N:])
	}
	for i, b := range text {
		high |= uint64(b)
		if b == delimiter || b == '\n' {
			at[result.N] = base + uint32(i)
			result.N++
		}
	}
	result.High = high&highBits != 0
	return result
}

// positionsOf writes the places of a mask's bits, four at a time whether there are as many or not: that is easier to
// foresee than the exact number.
func positionsOf(mask uint64, base uint32, at []uint32) int {
	n := bits.OnesCount64(mask)
	for at = at[:(n+3)&^3]; len(at) >= 4; at = at[4:] {
		at[0] = base + uint32(bits.TrailingZeros64(mask))
		mask &= mask - 1
		at[1] = base + uint32(bits.TrailingZeros64(mask))
		mask &= mask - 1
		at[2] = base + uint32(bits.TrailingZeros64(mask))
		mask &= mask - 1
		at[3] = base + uint32(bits.TrailingZeros64(mask))
		mask &= mask - 1
	}
	return n
}

// tail fills the last bytes of a text up to a block.
func (s *maskState) tail(text []byte) (block [blockBytes]byte) {
	for i := copy(block[:], text); i < blockBytes; i++ {
		block[i] = ' ' // a NUL would be seen
	}
	s.valid = firstBytes(len(text))
	return block
}

func (s *maskState) indexed(n int) Indexed {
	return Indexed{
		N: n, Rows: int(s.rows), Open: s.open != 0, Violation: s.violation != 0, NUL: s.NUL != 0, High: s.high != 0,
	}
}

// index writes the positions of a block.
func (s *maskState) index(text *[blockBytes]byte, pattern uint64, base uint32, at []uint32) int {
	b := masksOf(text, pattern)
	s.NUL |= b.NUL
	s.high |= b.high
	s.step(&b)
	s.rows += popcount(b.feeds)
	return positionsOf(b.delimiters|b.feeds, base, at)
}
