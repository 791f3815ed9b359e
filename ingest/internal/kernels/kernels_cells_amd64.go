//go:build amd64 && !purego

package kernels

import "unsafe"

// wholeEights is how many groups of eight rows a vector kernel may take from the first row it may: its loads reach 16
// bytes before the end of a cell, which the first cells of a chunk do not allow.
func (f *Fields) wholeEights() (first, eights int) {
	if _, end := f.Cell(0); end < 18 {
		first = min(8, f.Rows)
	}
	return first, (f.Rows - first) / 8
}

// endsFrom is nil if separators end the fields.
func (f *Fields) endsFrom(row int) *uint32 {
	if f.Ends == nil {
		return nil
	}
	return &f.Ends[row]
}

func numbers512(f Fields, values []float64, low, high float64, over Left) {
	first, eights := f.wholeEights()
	if first > 0 {
		front := f
		front.Rows = first
		numbersPortable(front, values, low, high, over[:1])
	}
	if eights > 0 {
		numbersAVX512(&values[first], &over[first/8], &f.Text[0], &f.At[first*f.Stride], 4*f.Stride, f.endsFrom(first), eights,
			low, high)
	}
	if done := first + 8*eights; done < f.Rows {
		numbersPortable(f.from(done), values[done:], low, high, over[done/8:])
	}
}

func categories512(f Fields, codes []uint16, d *Dictionary, over Left) {
	if d.small == nil {
		categoriesPortable(f, codes, d, over)
		return
	}
	first, eights := f.wholeEights()
	if first > 0 {
		front := f
		front.Rows = first
		categoriesPortable(front, codes, d, over[:1])
	}
	if eights > 0 {
		categoriesAVX512(&codes[first], &over[first/8], &f.Text[0], &f.At[first*f.Stride], 4*f.Stride, f.endsFrom(first), eights,
			(*byte)(unsafe.Pointer(d.small)))
	}
	if done := first + 8*eights; done < f.Rows {
		categoriesPortable(f.from(done), codes[done:], d, over[done/8:])
	}
}
