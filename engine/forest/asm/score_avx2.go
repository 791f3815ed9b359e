package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const vectorBytes = 32 // rows in an AVX2 register

var ymm = []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}

// narrowScorer holds the registers of one AVX2 scoring function.
type narrowScorer struct {
	precision
	vectors       int
	scale         uint8 // of slots
	stream, codes Register
	slots, sums   Register
	first, rest   Register
	size          Register
}

// scoreAVX2 is scoreAVX512 with half the rows in a register, no masks, and gathered leaf values.
func scoreAVX2(name string, packs int, p precision) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(stream *byte, trees int, codes, slots *byte, sums *float%d)", 8*p.bytes))
	Doc(fmt.Sprintf("%s adds trees to the sums of %d rows.", name, packs*packBytes))
	Pragma("noescape")
	s := &narrowScorer{precision: p, vectors: packs * packBytes / vectorBytes, scale: uint8(2 * packs)}
	s.stream = Load(Param("stream"), GP64())
	trees := Load(Param("trees"), GP64())
	s.codes = Load(Param("codes"), GP64())
	s.slots = Load(Param("slots"), GP64())
	s.sums = Load(Param("sums"), GP64())
	s.first, s.rest, s.size = GP64(), GP64(), GP64()

	Label("tree")
	MOVL(Mem{Base: s.stream}, s.first.(GPVirtual).As32())
	MOVL(Mem{Base: s.stream, Disp: 4}, s.rest.(GPVirtual).As32())
	MOVL(Mem{Base: s.stream, Disp: 12}, s.size.(GPVirtual).As32())
	ADDQ(Imm(headerBytes), s.stream)
	s.forks()
	s.joins()
	ADDQ(Imm(packBytes-1), s.stream)
	ANDQ(I8(-packBytes), s.stream)
	s.lookup()
	ADDQ(s.size, s.stream)
	DECQ(trees)
	JNZ(LabelRef("tree"))
	VZEROUPPER()
	RET()
}

// goLeft leaves all ones in Y12 where the rows' codes are not above the threshold in Y15.
func (s *narrowScorer) goLeft(column Register, v int) {
	VPMAXUB(Mem{Base: column, Disp: vectorBytes * v}, Y15, Y12)
	VPCMPEQB(Y12, Y15, Y12)
}

func (s *narrowScorer) forks() {
	slot, column := GP64(), GP64()
	MOVQ(s.slots, slot)
	Label("fork")
	MOVL(Mem{Base: s.stream}, column.As32())
	ADDQ(s.codes, column)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 4}, Y15)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 8}, Y14)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 12}, Y13)
	for v := range s.vectors {
		s.goLeft(column, v)
		VPBLENDVB(Y12, Y14, Y13, ymm[v])
		VMOVDQU(ymm[v], Mem{Base: slot, Disp: vectorBytes * v})
	}
	ADDQ(U32(vectorBytes*s.vectors), slot)
	ADDQ(Imm(nodeBytes), s.stream)
	DECQ(s.first)
	JNZ(LabelRef("fork"))
}

func (s *narrowScorer) joins() {
	column, left, right, result := GP64(), GP64(), GP64(), GP64()
	TESTQ(s.rest, s.rest)
	JZ(LabelRef("leaves"))
	Label("join")
	MOVL(Mem{Base: s.stream}, column.As32())
	ADDQ(s.codes, column)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 4}, Y15)
	for i, slot := range []GPVirtual{left, right, result} {
		MOVWLZX(Mem{Base: s.stream, Disp: 8 + 2*i}, slot.As32())
		LEAQ(Mem{Base: s.slots, Index: slot, Scale: s.scale}, slot)
	}
	for v := range s.vectors {
		s.goLeft(column, v)
		VMOVDQU(Mem{Base: right, Disp: vectorBytes * v}, ymm[v])
		VPBLENDVB(Y12, Mem{Base: left, Disp: vectorBytes * v}, ymm[v], ymm[v])
		VMOVDQU(ymm[v], Mem{Base: result, Disp: vectorBytes * v})
	}
	ADDQ(Imm(nodeBytes), s.stream)
	DECQ(s.rest)
	JNZ(LabelRef("join"))
	Label("leaves")
}

// lookup gathers the values of the leaves in Y0… and adds them; the sums lie in the order of the shifts.
func (s *narrowScorer) lookup() {
	VPCMPEQD(Y15, Y15, Y15)
	if s.bytes == 8 {
		VPSRLQ(Imm(56), Y15, Y15)
	} else {
		VPSRLD(Imm(24), Y15, Y15)
	}
	for v := range s.vectors {
		for b := range s.shifts {
			sum := Mem{Base: s.sums, Disp: vectorBytes * (v*s.shifts + b)}
			VPCMPEQD(Y14, Y14, Y14)
			VPXOR(Y13, Y13, Y13)
			if s.bytes == 8 {
				VPSRLQ(Imm(uint64(8*b)), ymm[v], Y12)
				VPAND(Y15, Y12, Y12)
				VGATHERQPD(Y14, Mem{Base: s.stream, Index: Y12, Scale: 8}, Y13)
				VADDPD(sum, Y13, Y13)
			} else {
				VPSRLD(Imm(uint64(8*b)), ymm[v], Y12)
				VPAND(Y15, Y12, Y12)
				VGATHERDPS(Y14, Mem{Base: s.stream, Index: Y12, Scale: 4}, Y13)
				VADDPS(sum, Y13, Y13)
			}
			VMOVUPD(Y13, sum)
		}
	}
}
