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
	return kernelPortable
}

// interleavedMin is the number of packs from which on four packs at once are faster than one after the other: four
// chains of loads and stores hide each other's latency.
const interleavedMin = 3

// scoreGroup adds a group of trees to the sums of one block, of which the first packs are in use.
func (s *Scorer) scoreGroup(g *group, codes []uint8, at, packs int) {
	stream := &g.stream[0]
	if packs >= interleavedMin {
		if s.c.library == XGBoost {
			scoreAVX512F32x4(stream, g.trees, &codes[0], &s.slots4[0], &s.sum32[at])
		} else {
			scoreAVX512F64x4(stream, g.trees, &codes[0], &s.slots4[0], &s.sum64[at])
		}
		return
	}
	for p := range packs {
		row := p * packRows
		if s.c.library == XGBoost {
			scoreAVX512F32x1(stream, g.trees, &codes[row], &s.slots1[0], &s.sum32[at+row])
		} else {
			scoreAVX512F64x1(stream, g.trees, &codes[row], &s.slots1[0], &s.sum64[at+row])
		}
	}
}

// vectorRows is the number of values that are binned at once.
const vectorRows = 16

// binVector bins a whole number of vectors; twin is empty if there is none.
func binVector(codes, twin []uint8, x []float64, v *vectorBins, narrow bool) {
	if narrow {
		binAVX512F32(&codes[0], unsafe.SliceData(twin), &x[0], len(x)/vectorRows, (*byte)(unsafe.Pointer(v)))
	} else {
		binAVX512F64(&codes[0], unsafe.SliceData(twin), &x[0], len(x)/vectorRows, (*byte)(unsafe.Pointer(v)))
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
