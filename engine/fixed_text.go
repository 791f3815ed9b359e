package engine

import "slices"

const (
	// copyBlockBytes is what pieces are copied by.
	copyBlockBytes = 64
	// numberBytesMax is more than any number takes.
	numberBytesMax = 32
)

// fixedText is text that is known before the row. It is copied by whole moves: a call for each of the sixty pieces of a row,
// of a few bytes each, would take longer than the bytes. What is behind the text, up to the next whole move, is zero and
// belongs to the piece.
type fixedText []byte

func newFixedText(text string) fixedText {
	moves := (len(text) + copyBlockBytes) / copyBlockBytes // one at least
	p := make([]byte, moves*copyBlockBytes)
	copy(p, text)
	return p[:len(text)]
}

// append appends the text to dst, which must have room for it and for a move more: see [withRoom]. That room is spoilt.
func (p fixedText) append(dst []byte) []byte {
	end := len(dst) + len(p)
	copyBlock((*[copyBlockBytes]byte)(dst[len(dst):cap(dst)]), (*[copyBlockBytes]byte)(p[:copyBlockBytes]))
	if len(p) > copyBlockBytes {
		p.appendRest(dst)
	}
	return dst[:end]
}

// appendRest writes what the first move did not.
func (p fixedText) appendRest(dst []byte) {
	to, from := dst[len(dst):cap(dst)], p[:(len(p)+copyBlockBytes-1)&^(copyBlockBytes-1)]
	for i := copyBlockBytes; i < len(from); i += copyBlockBytes {
		copyBlock((*[copyBlockBytes]byte)(to[i:]), (*[copyBlockBytes]byte)(from[i:]))
	}
}

// copyBlock copies by halves of halves: so much the compiler does without a call, though it cannot know that the two do not
// overlap.
func copyBlock(to, from *[copyBlockBytes]byte) {
	*(*[16]byte)(to[0:]) = *(*[16]byte)(from[0:])
	*(*[16]byte)(to[16:]) = *(*[16]byte)(from[16:])
	*(*[16]byte)(to[32:]) = *(*[16]byte)(from[32:])
	*(*[16]byte)(to[48:]) = *(*[16]byte)(from[48:])
}

// reserve makes room for n bytes and a move.
func reserve(dst []byte, n int) []byte { return slices.Grow(dst, n+copyBlockBytes) }
