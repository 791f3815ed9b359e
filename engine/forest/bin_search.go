package forest

import (
	"math"
	"math/bits"
)

// The search is branchless: rows disagree about every comparison, so a branch would be mispredicted half of the time.
// Go compiles no conditional move for floating point, hence integer keys and the borrow of a subtraction.

const infinityBits = 0x7FF0000000000000

// binScratch is what one numerical column needs on the way from numbers to codes.
type binScratch struct {
	keys    [blockRows]uint64
	missing [blockRows]uint8 // 255 if missing, else 0
	ranks   [blockRows]uint32
	cats    [blockRows]int32
}

// prepare fills keys and missing for up to blockRows numbers.
func (s *binScratch) prepare(x []float64, narrow bool, missing Missing) {
	if narrow {
		for i, v := range x {
			s.keys[i] = orderedKey(float64(float32(v)))
		}
	} else {
		for i, v := range x {
			s.keys[i] = orderedKey(v)
		}
	}
	switch missing {
	case MissingNone:
		zero := orderedKey(0)
		for i, v := range x {
			nan := isNaNMask(v)
			s.keys[i] = s.keys[i]&^nan | zero&nan
			s.missing[i] = 0
		}
	case MissingZero:
		for i, v := range x {
			s.missing[i] = uint8(isNaNMask(v) | isZeroMask(v))
		}
	case MissingNaN:
		for i, v := range x {
			s.missing[i] = uint8(isNaNMask(v))
		}
	}
}

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
			binVector(codes, nil, x[:done], n.vector[part], n.narrow)
			continue
		}
		binVector(codes, dst[(twin-firstColumn)*stride:][:done], x[:done], n.vector[part], n.narrow)
	}
	return done
}

func (n *numericBins) fillPortable(dst []uint8, stride, firstColumn int, x []float64, s *binScratch) {
	s.prepare(x, n.narrow, n.missing)
	if n.narrowKeys != nil {
		n.fillOne(dst[(n.base-firstColumn)*stride:][:len(x)], s)
	} else {
		n.fillParts(dst[(n.base-firstColumn)*stride:], stride, len(x), s)
	}
	for part, twin := range n.twins {
		if twin < 0 {
			continue
		}
		from := dst[(n.base+part-firstColumn)*stride:][:len(x)]
		to := dst[(twin-firstColumn)*stride:][:len(x)]
		for i, code := range from {
			to[i] = code + 1
		}
	}
}

// fillOne searches four rows at a time, so that four chains of loads run side by side.
func (n *numericBins) fillOne(codes []uint8, s *binScratch) {
	keys, start := n.narrowKeys, uint8(n.steps)
	i := 0
	for ; i+4 <= len(codes); i += 4 {
		x0, x1, x2, x3 := s.keys[i&255], s.keys[(i+1)&255], s.keys[(i+2)&255], s.keys[(i+3)&255]
		var r0, r1, r2, r3 uint8
		for step := start; step > 0; step >>= 1 {
			_, b0 := bits.Sub64(keys[r0+step-1], x0, 0)
			_, b1 := bits.Sub64(keys[r1+step-1], x1, 0)
			_, b2 := bits.Sub64(keys[r2+step-1], x2, 0)
			_, b3 := bits.Sub64(keys[r3+step-1], x3, 0)
			r0 += step & -uint8(b0)
			r1 += step & -uint8(b1)
			r2 += step & -uint8(b2)
			r3 += step & -uint8(b3)
		}
		out, missing := codes[i:i+4:i+4], s.missing[i:i+4:i+4]
		out[0], out[1] = r0|missing[0], r1|missing[1]
		out[2], out[3] = r2|missing[2], r3|missing[3]
	}
	for ; i < len(codes); i++ {
		var rank uint8
		for step := start; step > 0; step >>= 1 {
			_, borrow := bits.Sub64(keys[rank+step-1], s.keys[i], 0)
			rank += step & -uint8(borrow)
		}
		codes[i] = rank | s.missing[i]
	}
}

// fillParts ranks the rows among all thresholds and hands each column its share.
func (n *numericBins) fillParts(dst []uint8, stride, rows int, s *binScratch) {
	for i := range rows {
		rank, x := 0, s.keys[i]
		for step := n.steps; step > 0; step >>= 1 {
			_, borrow := bits.Sub64(n.keys[rank+step-1], x, 0)
			rank += step & -int(borrow)
		}
		s.ranks[i] = uint32(rank)
	}
	for part := range n.parts {
		low, column := int32(part*columnThresholds), dst[part*stride:][:rows]
		for i := range column {
			code := min(max(int32(s.ranks[i])-low, 0), columnThresholds)
			column[i] = uint8(code) | s.missing[i]
		}
	}
}
