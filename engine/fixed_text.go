package engine

import "slices"

const (
	// copyBlockBytes is the unit in which fixed texts are copied.
	copyBlockBytes = 64
	// numberBytesMax is more than the longest formatted number.
	numberBytesMax = 32
)

// fixedText is text that does not depend on the row. It is copied in whole blocks, as a row consists of about sixty
// short texts and a call to memmove for each would take longer than copying the bytes. The bytes behind the text up to
// the next full block are zero and belong to it.
type fixedText []byte

func newFixedText(text string) fixedText {
	blocks := (len(text) + copyBlockBytes) / copyBlockBytes // at least one
	p := make([]byte, blocks*copyBlockBytes)
	copy(p, text)
	return p[:len(text)]
}

// append appends the text to dst, which must have the capacity for it and one block more; see [reserve]. It overwrites
// the block behind the text.
func (p fixedText) append(dst []byte) []byte {
	end := len(dst) + len(p)
	copyBlock((*[copyBlockBytes]byte)(dst[len(dst):cap(dst)]), (*[copyBlockBytes]byte)(p[:copyBlockBytes]))
	if len(p) > copyBlockBytes {
		p.appendRest(dst)
	}
	return dst[:end]
}

// appendRest copies the blocks after the first.
func (p fixedText) appendRest(dst []byte) {
	to, from := dst[len(dst):cap(dst)], p[:(len(p)+copyBlockBytes-1)&^(copyBlockBytes-1)]
	for i := copyBlockBytes; i < len(from); i += copyBlockBytes {
		copyBlock((*[copyBlockBytes]byte)(to[i:]), (*[copyBlockBytes]byte)(from[i:]))
	}
}

// copyBlock copies in halves of halves, which the compiler does without a call even though it cannot prove that the
// blocks do not overlap.
func copyBlock(to, from *[copyBlockBytes]byte) {
	*(*[16]byte)(to[0:]) = *(*[16]byte)(from[0:])
	*(*[16]byte)(to[16:]) = *(*[16]byte)(from[16:])
	*(*[16]byte)(to[32:]) = *(*[16]byte)(from[32:])
	*(*[16]byte)(to[48:]) = *(*[16]byte)(from[48:])
}

// reserve grows dst's capacity for n more bytes and one block.
func reserve(dst []byte, n int) []byte { return slices.Grow(dst, n+copyBlockBytes) }
