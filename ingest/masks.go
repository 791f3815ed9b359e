package ingest

import (
	"encoding/binary"
	"math/bits"
)

// The portable twin of the vector kernels: 64 bytes become 64-bit masks, one bit a byte, eight bytes at a time.

const (
	ones     = 0x0101010101010101
	lowBits  = 0x7f7f7f7f7f7f7f7f
	highBits = 0x8080808080808080
)

// blockBytes is the width of a mask.
const blockBytes = 64

// everyByte is the mask of a whole block, firstBytes that of a part at the end of a text.
const everyByte = ^uint64(0)

func firstBytes(n int) uint64 { return 1<<n - 1 }

// block holds the masks of 64 bytes.
type block struct {
	quotes, delimiters, feeds, returns uint64
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
	}
	return b
}

// equal has one bit for each byte of word that is the same in pattern. Unlike the shorter test with a subtraction it is
// exact for every byte, not only up to the first hit.
func equal(word, pattern uint64) uint64 {
	x := word ^ pattern
	same := ^(((x & lowBits) + lowBits) | x | lowBits)
	return (same >> 7) * 0x0102040810204080 >> 56
}

// inside turns a mask of quotes into a mask of what they enclose: each opening quote up to the byte before its closing one.
func inside(quotes, open uint64) uint64 {
	x := quotes
	for shift := 1; shift < 64; shift <<= 1 {
		x ^= x << shift
	}
	return x ^ open
}

// quoting carries the strict quote check from one block to the next.
type quoting struct {
	open      uint64 // all ones inside quotes
	separator uint64 // 1 if the byte before the block ended a field
	closed    uint64 // 1 if it closed a field's quotes
	closedCR  uint64 // 1 if it was a CR behind such a quote
	violation uint64 // any bit: a rule was broken
}

// step takes what is inside quotes out of the masks and checks the rules of [firstBadQuote].
//
// Only the bytes in valid are text: at the end of the input a CR may stand behind a closing quote.
func (q *quoting) step(b *block, valid uint64) {
	separators := b.delimiters | b.feeds
	if b.quotes|q.open|q.closed|q.closedCR == 0 {
		q.separator = separators >> 63
		return
	}
	in := inside(b.quotes, q.open)
	q.open = uint64(int64(in) >> 63)
	b.delimiters &^= in
	b.feeds &^= in
	separators &^= in

	opens, closes := b.quotes&in, b.quotes&^in
	afterClose := closes<<1 | q.closed
	closeCR := afterClose & b.returns
	bad := opens &^ (separators<<1 | q.separator | afterClose)
	bad |= afterClose &^ (separators | opens | closeCR)
	bad |= (closeCR<<1 | q.closedCR) &^ b.feeds
	q.violation |= bad & valid
	q.separator, q.closed, q.closedCR = separators>>63, closes>>63, closeCR>>63
}

// popcount shortens the counting of rows.
func popcount(mask uint64) int64 {
	return int64(bits.OnesCount64(mask))
}
