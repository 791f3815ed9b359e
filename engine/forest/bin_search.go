package forest

import (
	"math"
	"math/bits"
	"slices"
)

// guideCells is how many cells the range of a feature's thresholds is cut into.
const guideCells = 1024

// rankSearch counts the thresholds that a number is beyond. The number's cell says how many thresholds lie in lower
// cells; a search, which needs as few steps as the fullest cell allows, counts those of its own. Cells are of equal
// width, or of equal ratio where that spreads the thresholds better, as with amounts of money.
//
// The search is branchless: rows disagree about every comparison, so a branch would be mispredicted half of the time.
// Go compiles no conditional move for floating point, hence integer keys and the borrow of a subtraction.
type rankSearch struct {
	keys       []uint64 // see thresholdKey; padded with keys that nothing is beyond
	low, scale float64  // cells of equal width; with a scale of 0 all numbers share the first
	lowKey     uint64   // cells of equal ratio
	shift      uint8
	equalRatio bool
	step       uint32             // the first one, a power of two
	start      [guideCells]uint32 // thresholds in lower cells
}

func newRankSearch(thresholds []float64, narrow bool) *rankSearch {
	best := &rankSearch{}
	best.fill(thresholds)
	finite := slices.DeleteFunc(slices.Clone(thresholds), func(t float64) bool { return math.IsInf(t, 0) })
	for trim := 0; trim <= 16 && 2*trim+2 <= len(finite); trim = 2*trim + 1 {
		first, last := finite[trim], finite[len(finite)-1-trim]
		for _, r := range []*rankSearch{equalWidth(first, last), equalRatio(first, last)} {
			if r.fill(thresholds); r.step < best.step {
				best = r
			}
		}
	}
	best.keys = slices.Repeat([]uint64{math.MaxUint64}, len(thresholds)+int(2*best.step))
	for i, t := range thresholds {
		best.keys[i] = thresholdKey(t, narrow)
	}
	return best
}

// equalWidth cuts a range; numbers beyond it share the first and the last cell. Where the cells would make no sense
// all numbers share the first.
func equalWidth(first, last float64) *rankSearch {
	r := &rankSearch{}
	if scale := (guideCells - 1) / (last - first); scale > 0 && !math.IsInf(scale, 0) {
		r.low, r.scale = first, scale
	}
	return r
}

func equalRatio(first, last float64) *rankSearch {
	r := &rankSearch{lowKey: orderedKey(first), equalRatio: true}
	for (orderedKey(last)-r.lowKey)>>r.shift >= guideCells {
		r.shift++
	}
	return r
}

// fill counts the thresholds by cell.
func (r *rankSearch) fill(thresholds []float64) {
	fullest, filled := uint32(0), [guideCells]uint32{}
	for _, t := range thresholds {
		filled[r.cell(t, orderedKey(t))]++
	}
	count := uint32(0)
	for cell := range r.start {
		r.start[cell] = count
		count += filled[cell]
		fullest = max(fullest, filled[cell])
	}
	r.step = 1 << (bits.Len32(fullest) - 1)
}

// cell never falls as x grows. That of NaN says nothing.
func (r *rankSearch) cell(x float64, key uint64) uint32 {
	switch {
	case r.equalRatio:
		return r.ratioCell(key)
	case r.scale == 0: // zero times an infinity is NaN, whose sign depends on the processor
		return 0
	}
	return r.widthCell(x)
}

func (r *rankSearch) ratioCell(key uint64) uint32 {
	above, borrow := bits.Sub64(key, r.lowKey, 0)
	return uint32(min((above&(borrow-1))>>(r.shift&63), guideCells-1))
}

// widthCell wants a scale that is not 0. It rounds by adding 2^52, after which the bits are the integer; those of numbers
// out of range are out of range on the same side.
func (r *rankSearch) widthCell(x float64) uint32 {
	const big, bigBits = 1 << 52, 0x4330000000000000
	sum := int64(math.Float64bits(float64((x-r.low)*r.scale) + big))
	return uint32(min(max(sum, bigBits), bigBits+guideCells-1) - bigBits)
}

// rank takes the number and its ordered key.
func (r *rankSearch) rank(x float64, key uint64) uint32 {
	i := r.start[r.cell(x, key)%guideCells]
	for step := r.step; step > 0; step >>= 1 {
		_, borrow := bits.Sub64(r.keys[i+step-1], key, 0)
		i += step & -uint32(borrow)
	}
	return i
}

// rankAll ranks numbers.
func (r *rankSearch) rankAll(ranks []uint32, numbers []float64) {
	ranks = ranks[:len(numbers)]
	if r.equalRatio {
		for i, x := range numbers {
			ranks[i] = r.start[r.ratioCell(orderedKey(x))%guideCells]
		}
	} else if r.scale != 0 {
		for i, x := range numbers {
			ranks[i] = r.start[r.widthCell(x)%guideCells]
		}
	} else {
		clear(ranks) // as no threshold is in a lower cell than the first
	}
	whole := len(numbers) &^ 3
	r.refineFour(ranks[:whole], numbers[:whole])
	for i := whole; i < len(numbers); i++ {
		ranks[i] = r.rank(numbers[i], orderedKey(numbers[i]))
	}
}

// refineFour searches within cells, four rows at a time, so that four chains of loads run side by side.
func (r *rankSearch) refineFour(ranks []uint32, numbers []float64) {
	keys := r.keys
	for len(ranks) >= 4 && len(numbers) >= 4 {
		k0, k1, k2, k3 := orderedKey(numbers[0]), orderedKey(numbers[1]), orderedKey(numbers[2]), orderedKey(numbers[3])
		r0, r1, r2, r3 := ranks[0], ranks[1], ranks[2], ranks[3]
		for step := r.step; step > 0; step >>= 1 {
			_, b0 := bits.Sub64(keys[r0+step-1], k0, 0)
			_, b1 := bits.Sub64(keys[r1+step-1], k1, 0)
			_, b2 := bits.Sub64(keys[r2+step-1], k2, 0)
			_, b3 := bits.Sub64(keys[r3+step-1], k3, 0)
			r0 += step & -uint32(b0)
			r1 += step & -uint32(b1)
			r2 += step & -uint32(b2)
			r3 += step & -uint32(b3)
		}
		ranks[0], ranks[1], ranks[2], ranks[3] = r0, r1, r2, r3
		ranks, numbers = ranks[4:], numbers[4:]
	}
}

// binScratch is what one column needs on the way from numbers to codes.
type binScratch struct {
	numbers [blockRows]float64 // as the library compares them
	missing [blockRows]uint8   // 255 if missing, else 0
	ranks   [blockRows]uint32
	cats    [blockRows]int32
}

// prepare fills numbers and missing for up to blockRows numbers.
func (s *binScratch) prepare(x []float64, narrow bool, missing Missing) {
	for i, v := range x {
		s.numbers[i], s.missing[i] = v, uint8(isNaNMask(v))
	}
	if narrow {
		for i, v := range x {
			s.numbers[i] = float64(float32(v))
		}
	}
	switch missing {
	case MissingNone:
		for i, v := range x {
			s.numbers[i] = math.Float64frombits(math.Float64bits(s.numbers[i]) &^ isNaNMask(v))
			s.missing[i] = 0
		}
	case MissingZero:
		for i, v := range x {
			s.missing[i] |= uint8(isZeroMask(v))
		}
	case MissingNaN:
	}
}

const infinityBits = 0x7FF0000000000000

// isNaNMask is all ones for NaN and zero for every number.
func isNaNMask(x float64) uint64 {
	_, borrow := bits.Sub64(infinityBits<<1, math.Float64bits(x)<<1, 0)
	return -borrow
}

// isZeroMask is all ones if LightGBM takes the number for zero.
func isZeroMask(x float64) uint64 {
	const bound = 0x38AA95A5C0000000 // math.Float64bits(zeroBound)
	_, borrow := bits.Sub64(bound<<1, math.Float64bits(x)<<1, 0)
	return borrow - 1
}

// fill writes the codes of up to blockRows numbers to the columns of dst, which are stride bytes apart.
func (n *numericBins) fill(dst []uint8, stride, firstColumn int, x []float64, s *binScratch) {
	if done := n.fillVector(dst, stride, firstColumn, x); done > 0 {
		dst, x = dst[done:], x[done:]
	}
	if len(x) > 0 {
		n.fillPortable(dst, stride, firstColumn, x, s)
	}
}

// fillVector writes the codes of whole vectors and returns how many.
func (n *numericBins) fillVector(dst []uint8, stride, firstColumn int, x []float64) int {
	done := len(x) &^ (vectorRows - 1)
	if n.vector == nil || done == 0 {
		return 0
	}
	for part, twin := range n.twins {
		codes := dst[(n.base+part-firstColumn)*stride:][:done]
		if twin < 0 {
			n.binVector(part, codes, nil, x[:done])
			continue
		}
		n.binVector(part, codes, dst[(twin-firstColumn)*stride:][:done], x[:done])
	}
	return done
}

func (n *numericBins) fillPortable(dst []uint8, stride, firstColumn int, x []float64, s *binScratch) {
	s.prepare(x, n.narrow, n.missing)
	n.search.rankAll(s.ranks[:], s.numbers[:len(x)])
	for part, twin := range n.twins {
		column := dst[(n.base+part-firstColumn)*stride:][:len(x)]
		low := int32(part * columnThresholds)
		for i := range column {
			code := min(max(int32(s.ranks[i])-low, 0), columnThresholds)
			column[i] = uint8(code) | s.missing[i]
		}
		if twin < 0 {
			continue
		}
		to := dst[(twin-firstColumn)*stride:][:len(x)]
		for i, code := range column {
			to[i] = code + 1
		}
	}
}
