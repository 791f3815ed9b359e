//go:build amd64 && !purego

package forest

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/cpu"
)

func detectKernel() kernel {
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL &&
		cpu.X86.HasBMI2 {
		return kernelAVX512
	}
	if cpu.X86.HasAVX2 {
		return kernelAVX2
	}
	return kernelPortable
}

// interleavedMin is the number of packs from which on four packs at once are faster than one after the other: four
// chains of loads and stores hide each other's latency.
const interleavedMin = 3

// addPacks adds a group of trees to the sums of one block, of which the first packs are in use.
func (s *Scorer) addPacks(g *group, codes []uint8, at, packs int) {
	score := s.scorePacks512
	if s.c.kernel == kernelAVX2 {
		score = s.scorePacks2
	}
	if packs >= interleavedMin {
		score(g, &codes[0], at, true)
		return
	}
	for p := range packs {
		score(g, &codes[p*packRows], at+p*packRows, false)
	}
}

// scorePacks512 adds a group of trees to the sums of four packs or of one.
func (s *Scorer) scorePacks512(g *group, codes *uint8, at int, four bool) {
	stream := &g.stream[0]
	switch {
	case four && s.sum32 != nil:
		scoreAVX512F32x4(stream, g.trees, codes, &s.slots4[0], &s.sum32[at])
	case four:
		scoreAVX512F64x4(stream, g.trees, codes, &s.slots4[0], &s.sum64[at])
	case s.sum32 != nil:
		scoreAVX512F32x1(stream, g.trees, codes, &s.slots1[0], &s.sum32[at])
	default:
		scoreAVX512F64x1(stream, g.trees, codes, &s.slots1[0], &s.sum64[at])
	}
}

// scorePacks2 does the same with AVX2.
func (s *Scorer) scorePacks2(g *group, codes *uint8, at int, four bool) {
	stream := &g.stream[0]
	switch {
	case four && s.sum32 != nil:
		scoreAVX2F32x4(stream, g.trees, codes, &s.slots4[0], &s.sum32[at])
	case four:
		scoreAVX2F64x4(stream, g.trees, codes, &s.slots4[0], &s.sum64[at])
	case s.sum32 != nil:
		scoreAVX2F32x1(stream, g.trees, codes, &s.slots1[0], &s.sum32[at])
	default:
		scoreAVX2F64x1(stream, g.trees, codes, &s.slots1[0], &s.sum64[at])
	}
}

// vectorRows is what numbers of values that are binned at once are a multiple of.
const vectorRows = 16

// binVector bins a whole number of vectors; twin is empty if there is none.
func (n *numericBins) binVector(part int, codes, twin []uint8, x []float64) {
	bins := (*byte)(unsafe.Pointer(n.vector[part]))
	to, shifted := &codes[0], unsafe.SliceData(twin)
	switch {
	case n.kernel == kernelAVX512 && n.narrow:
		binAVX512F32(to, shifted, &x[0], len(x)/16, bins)
	case n.kernel == kernelAVX512:
		binAVX512F64(to, shifted, &x[0], len(x)/16, bins)
	case n.narrow:
		binAVX2F32(to, shifted, &x[0], len(x)/8, bins)
	default:
		binAVX2F64(to, shifted, &x[0], len(x)/8, bins)
	}
}

// binRow bins one row by vectors.
func binRow(dst []uint8, x []float64, parts []rowPart, narrow bool) {
	if len(parts) == 0 {
		return
	}
	first := (*byte)(unsafe.Pointer(&parts[0]))
	if narrow {
		binRowAVX512F32(&dst[0], &x[0], first, len(parts))
	} else {
		binRowAVX512F64(&dst[0], &x[0], first, len(parts))
	}
}

// eightsMax bounds the time of one call: about 50 µs.
const eightsMax = 1024

func kernelEights64(eights []fewTrees, p *portableNodes, sum float64, codes []uint8) float64 {
	for part := range slices.Chunk(eights, eightsMax) {
		first := (*byte)(unsafe.Pointer(&part[0]))
		sum = addEightsF64(first, len(part), &p.small[0], &p.small64[0], &codes[0], sum)
	}
	return sum
}

func kernelEights32(eights []fewTrees, p *portableNodes, sum float32, codes []uint8) float32 {
	for part := range slices.Chunk(eights, eightsMax) {
		first := (*byte)(unsafe.Pointer(&part[0]))
		sum = addEightsF32(first, len(part), &p.small[0], &p.small32[0], &codes[0], sum)
	}
	return sum
}

// rowKernel reports whether single rows can be scored by vectors.
var rowKernel = cpu.X86.HasAVX512VBMI && cpu.X86.HasAVX512CD && cpu.X86.HasPOPCNT

func kernelRow64(r *rowStream, sum float64, codes []uint8) float64 {
	if r.bits == 32 {
		return scoreRowAVX512F64x32(&r.stream[0], r.groups, &codes[0], sum)
	}
	return scoreRowAVX512F64x64(&r.stream[0], r.groups, &codes[0], sum)
}

func kernelRow32(r *rowStream, sum float32, codes []uint8) float32 {
	if r.bits == 32 {
		return scoreRowAVX512F32x32(&r.stream[0], r.groups, &codes[0], sum)
	}
	return scoreRowAVX512F32x64(&r.stream[0], r.groups, &codes[0], sum)
}
