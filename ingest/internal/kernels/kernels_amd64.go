//go:build amd64 && !purego

package kernels

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

func hasAVX2() bool {
	x := &cpu.X86
	return x.HasAVX2 && x.HasBMI1 && x.HasBMI2 && x.HasPOPCNT && x.HasPCLMULQDQ
}

func hasAVX512() bool {
	x := &cpu.X86
	return hasAVX2() && x.HasAVX512F && x.HasAVX512CD && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL &&
		x.HasAVX512VBMI && x.HasAVX512VBMI2
}

// Runnable returns the sets that this processor can run, the portable one first and the best one last.
func Runnable() []Set {
	sets := []Set{portable()}
	if hasAVX2() {
		sets = append(sets, vectorsOf256())
	}
	if hasAVX512() {
		sets = append(sets, vectorsOf512())
	}
	return sets
}

func vectorsOf512() Set {
	return Set{
		Scan: scan512, Index: index512, Leads: leads512, Numbers: numbers512, Categories: categories512,
		Rows: "avx512", Cells: "avx512",
	}
}

func vectorsOf256() Set {
	return Set{
		Scan: scan256, Index: index256, Leads: leads256,
		Numbers: numbersPortable, Categories: categoriesPortable,
		Rows: "avx2", Cells: "portable",
	}
}

// The goroutine cannot be preempted inside assembly: blocksMax bounds the time of one call to some ten microseconds.
const blocksMax = 4096

func index512(text []byte, delimiter byte, base uint32, at []uint32) Indexed {
	return indexVectors(true, text, delimiter, base, at)
}

func index256(text []byte, delimiter byte, base uint32, at []uint32) Indexed {
	return indexVectors(false, text, delimiter, base, at)
}

func scan512(text []byte, delimiter byte) Scanned { return scanVectors(true, text, delimiter) }

func scan256(text []byte, delimiter byte) Scanned { return scanVectors(false, text, delimiter) }

// indexVectors feeds the index with whole blocks. That it names both kernels, and takes neither as a func value, lets
// the state stay on the stack.
func indexVectors(wide bool, text []byte, delimiter byte, base uint32, at []uint32) Indexed {
	_ = at[len(text)+Slack-1]
	state := atRowStart()
	n := 0
	for len(text) > 0 {
		blocks := min(len(text)/blockBytes, blocksMax)
		first := text
		if blocks == 0 {
			tail := state.tail(text)
			first, blocks = tail[:], 1
		}
		if wide {
			n += indexAVX512(&first[0], blocks, state.first(), uint64(delimiter), base, &at[n])
		} else {
			n += indexAVX2(&first[0], blocks, state.first(), uint64(delimiter), base, &at[n])
		}
		text, base = text[min(len(text), blocks*blockBytes):], base+uint32(blocks*blockBytes)
	}
	return state.indexed(n)
}

// scanVectors does the same for the scan.
func scanVectors(wide bool, text []byte, delimiter byte) Scanned {
	state := atRowStart()
	for rest := text; len(rest) > 0; {
		blocks := min(len(rest)/blockBytes, blocksMax)
		first := rest
		if blocks == 0 {
			tail := state.tail(rest)
			first, blocks = tail[:], 1
		}
		if wide {
			scanAVX512(&first[0], blocks, state.first(), uint64(delimiter))
		} else {
			scanAVX2(&first[0], blocks, state.first(), uint64(delimiter))
		}
		rest = rest[min(len(rest), blocks*blockBytes):]
	}
	return state.scanned(text)
}

func leads512(text []byte, base uint32, at []uint32) Leads { return leadsVectors(true, text, base, at) }

func leads256(text []byte, base uint32, at []uint32) Leads {
	return leadsVectors(false, text, base, at)
}

// leadState is what goes from one block to the next, and the classes that were seen. The assembly knows its layout.
type leadState struct {
	behind uint64 // 1 if the next byte stands behind a separator
	seen   [blockBytes]uint8
}

// leadsVectors does the same for the leads.
func leadsVectors(wide bool, text []byte, base uint32, at []uint32) Leads {
	_ = at[len(text)] // the assembly may be given the place behind the last one
	state := leadState{behind: 1}
	n, seen := 0, uint8(0)
	for len(text) > 0 {
		blocks := min(len(text)/blockBytes, blocksMax)
		first := text
		if blocks == 0 {
			var tail [blockBytes]byte
			for i := copy(tail[:], text); i < blockBytes; i++ {
				tail[i] = 'x' // has no class
			}
			first, blocks = tail[:], 1
		}
		if wide {
			n += leadsAVX512(&first[0], blocks, (*byte)(unsafe.Pointer(&state)), base, &at[n])
		} else {
			n += leadsAVX2(&first[0], blocks, (*byte)(unsafe.Pointer(&state)), base, &at[n])
		}
		for _, classes := range state.seen {
			seen |= classes
		}
		text, base = text[min(len(text), blocks*blockBytes):], base+uint32(blocks*blockBytes)
	}
	return newLeads(n, seen)
}

// first is where the assembly finds the state.
func (s *maskState) first() *byte { return (*byte)(unsafe.Pointer(s)) }
