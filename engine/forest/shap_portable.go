package forest

import "encoding/binary"

// The portable kernels. They take eight rows at a time where the work is on bytes: eight codes in a uint64.
const highBits = 0x8080808080808080

// failed has bit 7 of every byte set where the row does not pass: where (hi - code) mod 256 > span.
func failed(codes, hi, span uint64) uint64 {
	x := (hi | highBits) - codes&^highBits
	x ^= ^(hi ^ codes) & highBits // bytewise hi - codes
	atLeast := (span | highBits) - x&^highBits
	return ^(span&^x | ^(span^x)&atLeast) & highBits
}

func broadcast(word uint32) uint64 { return uint64(word)<<32 | uint64(word) }

// addTables adds the contributions of the branches of a run, looked up, for the first rows of a block. The sums behind
// them are spoilt up to the next multiple of eight.
func (r *shapRun) addTables(sums []float32, codes []uint8, rows int) {
	var patterns [blockRows / 8]uint64
	words := patterns[:(rows+7)/8]
	size := tableSize(r.bits)
	for branch := range r.branches {
		clear(words)
		for _, record := range r.records[branch*r.tests:][:r.tests] {
			record.mark(words, codes)
		}
		for term := branch * r.terms; term < (branch+1)*r.terms; term++ {
			addLookups(sums[r.slots[term]:][:blockRows], words, r.values[term*size:][:size])
		}
	}
}

// mark sets the record's bit in the patterns of the rows that do not pass.
func (r *shapRecord) mark(words []uint64, codes []uint8) {
	column := codes[r.column:][:blockRows]
	hi, span, bit := broadcast(r.hi), broadcast(r.span), uint64(r.target&0xff)
	for i := range words {
		words[i] |= failed(binary.LittleEndian.Uint64(column[8*i:]), hi, span) >> 7 * bit
	}
}

// addLookups adds the entry of each row's pattern to the row's sum.
func addLookups(sums []float32, words []uint64, table []float32) {
	last := uint64(len(table) - 1)
	for i, w := range words {
		s := sums[8*i:][:8]
		s[0] += table[w&last]
		s[1] += table[w>>8&last]
		s[2] += table[w>>16&last]
		s[3] += table[w>>24&last]
		s[4] += table[w>>32&last]
		s[5] += table[w>>40&last]
		s[6] += table[w>>48&last]
		s[7] += table[w>>56&last]
	}
}

// integrate adds the contributions of the leaves of a run by quadrature, for the first rows of a block, rounded up to a
// pack. Products and sums are rounded one by one, as the vector kernels do it.
func (r *shapRun) integrate(sums []float32, codes []uint8, rows int, masks []uint64) {
	size := (2*r.terms + 2) * r.points
	masks = masks[:r.terms]
	for leaf := range r.branches {
		values := r.values[leaf*size:][:size]
		slots := r.slots[leaf*r.terms:][:r.terms]
		for pack := 0; pack < rows; pack += packRows {
			clear(masks)
			for _, record := range r.records[leaf*r.tests:][:r.tests] {
				masks[record.target] |= record.failedRows(codes[pack:])
			}
			for row := 0; row < packRows; row += laneRows {
				integrateLanes(sums[pack+row:], slots, values, masks, row, r.points)
			}
		}
	}
}

// failedRows has the bit of every row of a pack set that does not pass.
func (r *shapRecord) failedRows(codes []uint8) uint64 {
	column := codes[r.column:][:packRows]
	hi, span := broadcast(r.hi), broadcast(r.span)
	mask := uint64(0)
	for i := range packRows / 8 {
		bytes := failed(binary.LittleEndian.Uint64(column[8*i:]), hi, span) >> 7
		mask |= bytes * 0x0102040810204080 >> 56 << (8 * i) // the eight bits side by side
	}
	return mask
}

// laneRows is how many rows are integrated side by side: what one has to wait for, another does meanwhile.
const laneRows = 8

type rowLanes [laneRows]float32

// integrateLanes does eight rows. It chooses by index, not by branches: whether a row passes is hard to predict.
func integrateLanes(sums []float32, slots []uint32, values []float32, masks []uint64, first, points int) {
	var products [pointsMax]rowLanes
	p := products[:points]
	for k := range p {
		p[k] = rowLanes{values[k], values[k], values[k], values[k], values[k], values[k], values[k], values[k]}
	}
	for j, mask := range masks {
		if failed := uint8(mask >> first); failed != 0 {
			for k, ratio := range values[(2*j+2)*points:][:len(p)] {
				p[k].multiply(failed, ratio)
			}
		}
	}
	unsatisfied := dot(p, values[points:])
	for j, mask := range masks {
		satisfied := dot(p, values[(2*j+3)*points:])
		satisfied.addTo(sums[slots[j]:][:laneRows], uint8(mask>>first), &unsatisfied)
	}
}

// multiply takes the rows of a mask times a ratio.
func (x *rowLanes) multiply(rows uint8, ratio float32) {
	factor := [2]float32{1, ratio}
	x[0] *= factor[rows&1]
	x[1] *= factor[rows>>1&1]
	x[2] *= factor[rows>>2&1]
	x[3] *= factor[rows>>3&1]
	x[4] *= factor[rows>>4&1]
	x[5] *= factor[rows>>5&1]
	x[6] *= factor[rows>>6&1]
	x[7] *= factor[rows>>7&1]
}

// addTo adds x to the sums, or other for the rows of a mask.
func (x *rowLanes) addTo(sums []float32, rows uint8, other *rowLanes) {
	for i := range x {
		choice := [2]float32{x[i], other[i]}
		sums[i] += choice[rows>>i&1]
	}
}

// dot adds the rows' products up with weights. Variables of their own stay in registers, where an array would not.
func dot(x []rowLanes, weights []float32) rowLanes {
	v, w := &x[0], weights[0]
	s0, s1, s2, s3 := float32(v[0]*w), float32(v[1]*w), float32(v[2]*w), float32(v[3]*w)
	s4, s5, s6, s7 := float32(v[4]*w), float32(v[5]*w), float32(v[6]*w), float32(v[7]*w)
	weights = weights[:len(x)]
	for k := 1; k < len(x); k++ {
		v, w := &x[k], weights[k]
		s0 += float32(v[0] * w)
		s1 += float32(v[1] * w)
		s2 += float32(v[2] * w)
		s3 += float32(v[3] * w)
		s4 += float32(v[4] * w)
		s5 += float32(v[5] * w)
		s6 += float32(v[6] * w)
		s7 += float32(v[7] * w)
	}
	return rowLanes{s0, s1, s2, s3, s4, s5, s6, s7}
}

// addSums adds the sums of a feature and leaves zeros behind.
func addSums(to []float64, from []float32) {
	to = to[:len(from)]
	for i, v := range from {
		to[i] += float64(v)
		from[i] = 0
	}
}
