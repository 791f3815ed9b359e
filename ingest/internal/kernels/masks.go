package kernels

import (
	"encoding/binary"
	"math/bits"
)

// The portable twin of the vector kernels: 64 bytes become 64-bit masks, one bit a byte, eight bytes at a time.

const (
	ones     = 0x0101010101010101
	lowBits  = 0x7f7f7f7f7f7f7f7f
	highBits = 0x8080808080808080
	gather   = 0x0102040810204080 // times a word of 0 and 1 bytes: one bit for each in the highest byte
)

// blockBytes is the width of a mask.
const blockBytes = 64

// everyByte is the mask of a whole block, firstBytes that of a part at the end of a text.
const everyByte = ^uint64(0)

func firstBytes(n int) uint64 { return 1<<n - 1 }

// block holds the masks of 64 bytes.
type block struct {
	quotes, delimiters, feeds, returns uint64
	NUL, high                          uint64 // any bit: one of the bytes is
}

// masksOf compares 64 bytes with the four bytes that matter.
func masksOf(text *[blockBytes]byte, delimiter uint64) block {
	var b block
	for at := 0; at < blockBytes; at += 8 {
		word := binary.LittleEndian.Uint64(text[at:])
		b.quotes |= equal(word, '"'*ones) << at
		b.delimiters |= equal(word, delimiter) << at
		b.feeds |= equal(word, '\n'*ones) << at
		b.returns |= equal(word, '\r'*ones) << at
		b.NUL |= (word - ones) &^ word & highBits
		b.high |= word & highBits
	}
	return b
}

// equal has one bit for each byte of word that is the same in pattern.
func equal(word, pattern uint64) uint64 {
	return sameBytes(word, pattern) >> 7 * gather >> 56
}

// sameBytes has the highest bit of each byte of word that is the same in pattern. Unlike the shorter test with a
// subtraction it is exact for every byte, not only up to the first hit.
func sameBytes(word, pattern uint64) uint64 {
	x := word ^ pattern
	return ^(((x & lowBits) + lowBits) | x | lowBits)
}

// inside turns a mask of quotes into a mask of what they enclose: each opening quote up to the byte before its closing
// one.
func inside(quotes, open uint64) uint64 {
	x := quotes
	for shift := 1; shift < 64; shift <<= 1 {
		x ^= x << shift
	}
	return x ^ open
}

// maskState is what goes from one block to the next. The assembly knows its layout.
type maskState struct {
	open      uint64 // all ones inside quotes
	separator uint64 // 1 if the byte before the block ended a field
	closed    uint64 // 1 if it closed a field's quotes
	closedCR  uint64 // 1 if it was a CR behind such a quote
	violation uint64 // any bit: a rule of quoting was broken
	valid     uint64 // the bytes of a block that are text: at the end of input a CR may stand behind a closing quote
	rows      int64  // line ends outside quotes; the scan leaves blank lines out
	NUL       uint64 // any bit: there was a NUL; index only
	high      uint64 // any bit: there was a byte that is not ASCII; index only
	start     uint64 // 1 if the byte before was a line end; this and what follows: scan only
	startCR   uint64 // 1 if it was a CR right behind one
	feeds     int64  // line feeds, inside quotes or not
	end       int64  // behind the last line end
	at        int64  // where the block stands
	pending   uint64 // open, closed or closedCR, for the assembly
	lead      uint64 // any bit: a line begins with a delimiter; scan only
}

// atRowStart is the state in front of a text that starts with a row.
func atRowStart() maskState {
	return maskState{separator: 1, start: 1, valid: everyByte}
}

// step takes what is inside quotes out of the masks and checks the rules of quoting: a quote opens a field or doubles
// another, and a field ends behind its closing quote.
func (s *maskState) step(b *block) {
	separators := b.delimiters | b.feeds
	if b.quotes|s.open|s.closed|s.closedCR == 0 {
		s.separator = separators >> 63
		return
	}
	in := inside(b.quotes, s.open)
	s.open = uint64(int64(in) >> 63)
	b.delimiters &^= in
	b.feeds &^= in
	separators &^= in

	opens, closes := b.quotes&in, b.quotes&^in
	afterClose := closes<<1 | s.closed
	closeCR := afterClose & b.returns
	bad := opens &^ (separators<<1 | s.separator | afterClose)
	bad |= afterClose &^ (separators | opens | closeCR)
	bad |= (closeCR<<1 | s.closedCR) &^ b.feeds
	s.violation |= bad & s.valid
	s.separator, s.closed, s.closedCR = separators>>63, closes>>63, closeCR>>63
}

// popcount shortens the counting of rows.
func popcount(mask uint64) int64 {
	return int64(bits.OnesCount64(mask))
}
