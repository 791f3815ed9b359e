package ingest

import (
	"encoding/binary"
	"math/bits"
)

// fields is one field of consecutive rows.
type fields struct {
	text   []byte   // the chunk with slack behind it
	at     []uint32 // separators, from the one before the field of the first row
	stride int      // separators from one row to the next
	ends   []uint32 // where the fields end if they are the last of their rows; else nil, and a separator ends them
	rows   int
}

// cell is where a row's field starts and ends, quotes included.
func (f *fields) cell(row int) (start, end uint32) {
	k := row * f.stride
	start, end = f.at[k]+1, f.at[k+1]
	if f.ends != nil {
		end = f.ends[row]
	}
	return start, end
}

// bare is where it starts and ends without quotes around it. A cell that ends with a quote starts with one: the index
// has seen to that.
func (f *fields) bare(row int) (start, end uint32) {
	start, end = f.cell(row)
	if end > start && f.text[end-1] == '"' {
		return start + 1, end - 1
	}
	return start, end
}

func (f *fields) bytes(row int) []byte {
	start, end := f.cell(row)
	return f.text[start:end]
}

// from leaves out the rows before one.
func (f *fields) from(row int) fields {
	out := *f
	out.at, out.rows = f.at[row*f.stride:], f.rows-row
	if f.ends != nil {
		out.ends = f.ends[row:]
	}
	return out
}

// left is a set of rows, one bit each, that a kernel leaves to evaluate.
type left []uint8

// leftOf makes room for a number of rows.
func (l left) leftOf(rows int) left { return extend(l[:0], (rows+7)/8) }

func (l left) add(row int) { l[row/8] |= 1 << (row % 8) }

// each calls do for every row of the set, in order.
func (l left) each(do func(row int)) {
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
