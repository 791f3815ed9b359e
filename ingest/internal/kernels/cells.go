package kernels

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Slack is how many readable bytes the kernels need behind the last row of a chunk.
const Slack = 64

// Fields is one field of consecutive rows.
type Fields struct {
	Text   []byte   // the chunk with Slack more bytes
	At     []uint32 // separators, from the one before the field of the first row
	Stride int      // separators from one row to the next
	Ends   []uint32 // where the fields end if they are the last of their rows; else nil, and a separator ends them
	Rows   int
}

// Cell returns where a row's field starts and ends, quotes included.
func (f *Fields) Cell(row int) (start, end uint32) {
	k := row * f.Stride
	start, end = f.At[k]+1, f.At[k+1]
	if f.Ends != nil {
		end = f.Ends[row]
	}
	return start, end
}

// Bare returns where a row's field starts and ends without the quotes around it. A cell that ends with a quote starts with one: the index
// has seen to that.
func (f *Fields) Bare(row int) (start, end uint32) {
	start, end = f.Cell(row)
	if end > start && f.Text[end-1] == '"' {
		return start + 1, end - 1
	}
	return start, end
}

// Bytes returns a row's field, quotes included.
func (f *Fields) Bytes(row int) []byte {
	start, end := f.Cell(row)
	return f.Text[start:end]
}

// from leaves out the rows before one.
func (f *Fields) from(row int) Fields {
	out := *f
	out.At, out.Rows = f.At[row*f.Stride:], f.Rows-row
	if f.Ends != nil {
		out.Ends = f.Ends[row:]
	}
	return out
}

// Left is a set of rows, one bit each: those that a kernel could not convert.
type Left []uint8

// Of returns a set for a number of rows, which reuses the memory of l. Its content is undefined.
func (l Left) Of(rows int) Left { return slices.Grow(l[:0], (rows+7)/8)[:(rows+7)/8] }

// Add adds a row.
func (l Left) Add(row int) { l[row/8] |= 1 << (row % 8) }

// Each calls do for every row of the set, in order.
func (l Left) Each(do func(row int)) {
	for i, set := range l {
		for ; set != 0; set &= set - 1 {
			do(8*i + bits.TrailingZeros8(set))
		}
	}
}

// wordAt reads eight bytes, the first lowest.
func wordAt(text []byte, at uint32) uint64 {
	return binary.LittleEndian.Uint64(text[at:])
}
