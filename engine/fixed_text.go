package engine

import "slices"

const (
	// moveBytes is what pieces are copied by.
	moveBytes = 64
	// numberRoom is more than any number takes.
	numberRoom = 32
)

// piece is text that is known before the row. It is copied by whole moves: a call for each of the sixty pieces of a row,
// of a few bytes each, would take longer than the bytes. What is behind the text, up to the next whole move, is zero and
// belongs to the piece.
type piece []byte

func newPiece(text string) piece {
	moves := (len(text) + moveBytes) / moveBytes // one at least
	p := make([]byte, moves*moveBytes)
	copy(p, text)
	return p[:len(text)]
}

// append appends the text to dst, which must have room for it and for a move more: see [withRoom]. That room is spoilt.
func (p piece) append(dst []byte) []byte {
	end := len(dst) + len(p)
	move((*[moveBytes]byte)(dst[len(dst):cap(dst)]), (*[moveBytes]byte)(p[:moveBytes]))
	if len(p) > moveBytes {
		p.appendRest(dst)
	}
	return dst[:end]
}

// appendRest writes what the first move did not.
func (p piece) appendRest(dst []byte) {
	to, from := dst[len(dst):cap(dst)], p[:(len(p)+moveBytes-1)&^(moveBytes-1)]
	for i := moveBytes; i < len(from); i += moveBytes {
		move((*[moveBytes]byte)(to[i:]), (*[moveBytes]byte)(from[i:]))
	}
}

// move copies by halves of halves: so much the compiler does without a call, though it cannot know that the two do not
// overlap.
func move(to, from *[moveBytes]byte) {
	*(*[16]byte)(to[0:]) = *(*[16]byte)(from[0:])
	*(*[16]byte)(to[16:]) = *(*[16]byte)(from[16:])
	*(*[16]byte)(to[32:]) = *(*[16]byte)(from[32:])
	*(*[16]byte)(to[48:]) = *(*[16]byte)(from[48:])
}

// withRoom makes room for n bytes and a move.
func withRoom(dst []byte, n int) []byte { return slices.Grow(dst, n+moveBytes) }
