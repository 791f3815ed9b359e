package forest

import "unsafe"

// scratchBytes is the share of a core's second-level cache that the codes and sums of the rows in work may take.
const scratchBytes = 512 << 10

// scorerBlocksMax bounds the blocks of rows that are in work at once.
const scorerBlocksMax = 16

// Scorer is one worker's scratch for a [Compiled] forest. It must not be used by two goroutines at once; it may be
// used again and again and then allocates nothing.
type Scorer struct {
	c      *Compiled
	bins   *bins
	blocks int        // blocks in work at once
	codes  []uint8    // [block][column][blockRows]
	kept   []uint8    // instead, for all rows of the call, as in Codes; nil: not kept
	sum64  []float64  // [class][block][blockRows], LightGBM
	sum32  []float32  // the same, XGBoost
	first  int        // row of the first block
	fewMax int        // calls of up to so many rows are scored row by row
	slots4 []uint8    // for four packs at a time; vector kernels only
	slots1 []uint8    // for one
	words  []wordSlot // portable kernel only
}

// NewScorer returns the scratch of one worker.
func (c *Compiled) NewScorer() *Scorer {
	blockBytes := blockRows * (c.columns + 8*len(c.runs))
	s := &Scorer{
		c: c, bins: c.newBins(), fewMax: c.fewRowsMax(),
		blocks: min(max(scratchBytes/blockBytes, 1), scorerBlocksMax),
	}
	s.codes = alignedBytes(s.blocks * c.columns * blockRows)
	if c.library == XGBoost {
		s.sum32 = make([]float32, len(c.runs)*s.blocks*blockRows)
	} else {
		s.sum64 = make([]float64, len(c.runs)*s.blocks*blockRows)
	}
	if c.kernel == kernelPortable {
		s.words = newWordSlots()
	} else {
		s.slots4, s.slots1 = newSlots(blockRows), newSlots(packRows)
	}
	return s
}

// newSlots returns slots of so many bytes each, the constant ones filled.
func newSlots(size int) []uint8 {
	slots := alignedBytes(slotCount * size)
	for i := range slots[resultSlots*size:] {
		slots[resultSlots*size+i] = uint8(i / size)
	}
	return slots
}

// alignedBytes returns bytes that start at a cache line, so that no vector load straddles two.
func alignedBytes(n int) []uint8 {
	b := make([]uint8, n+63)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & 63)
	return b[skip : skip+n]
}

// Raw writes the raw scores of the rows to dst, row by row, one number a class: rows.Len*Classes in all. A random
// forest's raw score is the average over its iterations.
func (s *Scorer) Raw(dst []float64, rows Rows) {
	if rows.Len <= s.fewMax {
		s.scoreFew(dst, rows)
		return
	}
	s.bins.start(rows)
	step := s.blocks * blockRows
	for first := 0; first < rows.Len; first += step {
		n := min(step, rows.Len-first)
		s.first = first
		s.fill(n)
		s.reset(n)
		s.score(n)
		s.write(dst[first*len(s.c.runs):], n)
	}
	s.bins.finish()
}

// fill bins the n rows in work.
func (s *Scorer) fill(n int) {
	for block := 0; block*blockRows < n; block++ {
		at := block * blockRows
		s.bins.fill(s.blockCodes(block), s.first+at, min(blockRows, n-at))
	}
}

func (s *Scorer) blockCodes(block int) []uint8 {
	if s.kept != nil {
		return s.c.blockOf(s.kept, s.first/blockRows+block)
	}
	size := s.c.columns * blockRows
	return s.codes[block*size:][:size]
}

// reset starts every sum at the base margin.
func (s *Scorer) reset(n int) {
	stride := s.blocks * blockRows
	padded := packRows
	if n > packRows {
		padded = (n + blockRows - 1) / blockRows * blockRows
	}
	for class, base := range s.c.base {
		if s.c.library == XGBoost {
			setAll(s.sum32[class*stride:][:padded], float32(base))
		} else {
			setAll(s.sum64[class*stride:][:padded], base)
		}
	}
}

func setAll[T float32 | float64](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// score adds every tree to the sums of the first n rows.
func (s *Scorer) score(n int) {
	stride := s.blocks * blockRows
	for class := range s.c.runs {
		program := s.c.runs[class].program
		for i := range program {
			for block := 0; block*blockRows < n; block++ {
				at := class*stride + block*blockRows
				s.scoreGroup(&program[i], block, at, min(blockRows, n-block*blockRows))
			}
		}
	}
}

// scoreGroup adds a group of trees to the sums of a block's rows, which start at a place among the sums.
func (s *Scorer) scoreGroup(g *group, block, at, rows int) {
	switch codes := s.blockCodes(block); {
	case len(g.stream) == 0:
		s.addTree(&s.c.trees[g.walk], block, at, rows)
	case s.c.kernel == kernelPortable:
		s.addWords(g, codes, at, rows)
	default:
		s.addPacks(g, codes, at, (rows+packRows-1)/packRows)
	}
}

// write turns the sums around: classes of a row become neighbours.
func (s *Scorer) write(dst []float64, n int) {
	stride, classes := s.blocks*blockRows, len(s.c.runs)
	for class := range classes {
		out := dst[class : (n-1)*classes+class+1]
		if s.c.library == XGBoost {
			scatter(out, s.sum32[class*stride:], &s.c.places, n, classes)
		} else {
			scatter(out, s.sum64[class*stride:], &s.c.places, n, classes)
		}
	}
	s.divide(dst[:n*classes])
}

// divide averages the sums of a random forest.
func (s *Scorer) divide(dst []float64) {
	if s.c.iterations == 1 {
		return
	}
	for i := range dst {
		dst[i] /= s.c.iterations
	}
}

// scatter writes the sums of n rows to every stride-th number of dst.
func scatter[T float32 | float64](dst []float64, sums []T, places *[packRows]uint8, n, stride int) {
	for row := range n {
		dst[row*stride] = float64(sums[row&^(packRows-1)+int(places[row&(packRows-1)])])
	}
}
