//go:build amd64 && !purego

package ingest

import "unsafe"

// wholeEights is how many groups of eight rows a vector kernel may take from the first row it may: its loads reach 16
// bytes before the end of a cell, which the first cells of a chunk do not allow.
func (f *fields) wholeEights() (first, eights int) {
	if _, end := f.cell(0); end < 18 {
		first = min(8, f.rows)
	}
	return first, (f.rows - first) / 8
}

// endsFrom is nil if separators end the fields.
func (f *fields) endsFrom(row int) *uint32 {
	if f.ends == nil {
		return nil
	}
	return &f.ends[row]
}

func numbers512(f fields, values []float64, low, high float64, over left) {
	first, eights := f.wholeEights()
	if first > 0 {
		front := f
		front.rows = first
		numbersPortable(front, values, low, high, over[:1])
	}
	if eights > 0 {
		numbersAVX512(&values[first], &over[first/8], &f.text[0], &f.at[first*f.stride], 4*f.stride, f.endsFrom(first), eights,
			low, high)
	}
	if done := first + 8*eights; done < f.rows {
		numbersPortable(f.from(done), values[done:], low, high, over[done/8:])
	}
}

func categories512(f fields, codes []uint16, d *dictionary, over left) {
	if d.small == nil {
		categoriesPortable(f, codes, d, over)
		return
	}
	first, eights := f.wholeEights()
	if first > 0 {
		front := f
		front.rows = first
		categoriesPortable(front, codes, d, over[:1])
	}
	if eights > 0 {
		categoriesAVX512(&codes[first], &over[first/8], &f.text[0], &f.at[first*f.stride], 4*f.stride, f.endsFrom(first), eights,
			(*byte)(unsafe.Pointer(d.small)))
	}
	if done := first + 8*eights; done < f.rows {
		categoriesPortable(f.from(done), codes[done:], d, over[done/8:])
	}
}
