package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Kinds of leaf tables, by the registers that hold one: two, four, or none (gathered).
const (
	kindTwo  = 0
	kindFour = 1
)

// firstTest is the register of the first of the lookup constants.
const firstTest = 16

// lookupConstants prepares, per shift, the bit that distinguishes the two halves of a four-register table.
func (s *scorer) lookupConstants() {
	bit := GP64()
	for b := range s.shifts {
		if s.bytes == 8 {
			MOVQ(U64(0x10<<(8*b)), bit)
			VPBROADCASTQ(bit, zmm[firstTest+b])
		} else {
			MOVL(U32(0x20<<(8*b)), bit.As32())
			VPBROADCASTD(bit.As32(), zmm[firstTest+b])
		}
	}
	VPTERNLOGD(Imm(0xFF), Z24, Z24, Z24)
	if s.bytes == 8 {
		VPSRLQ(Imm(56), Z24, Z24)
	} else {
		VPSRLD(Imm(24), Z24, Z24)
	}
}

// lookup adds the values of the leaves in Z0… to the sums. Lanes of the sums are wider than leaf ids: shift b brings
// every 8th (4th) row's id to the bottom of its lane, from the b-th row on, and the sums lie in that order. The
// permutations ignore the bits above their index.
func (s *scorer) lookup() {
	CMPQ(s.kind, Imm(kindFour))
	JB(LabelRef("two"))
	JA(LabelRef("gather"))
	for t := range 4 {
		VMOVDQU64(Mem{Base: s.stream, Disp: packBytes * t}, zmm[25+t])
	}
	s.eachLane(func(q, b int) {
		s.test(zmm[firstTest+b], zmm[q], K1)
		ids := s.shifted(q, b)
		VMOVDQA64(ids, Z9)
		if ids != Z8 {
			VMOVDQA64(ids, Z8)
		}
		s.permute(Z26, Z25, Z8)
		s.permute(Z28, Z27, Z9)
		s.move(Z9, K1, Z8)
	})
	JMP(LabelRef("next"))
	Label("two")
	for t := range 2 {
		VMOVDQU64(Mem{Base: s.stream, Disp: packBytes * t}, zmm[25+t])
	}
	s.eachLane(func(q, b int) {
		if ids := s.shifted(q, b); ids != Z8 {
			VMOVDQA64(ids, Z8)
		}
		s.permute(Z26, Z25, Z8)
	})
	JMP(LabelRef("next"))
	Label("gather")
	s.eachLane(func(q, b int) {
		ids := s.shifted(q, b)
		KXNORQ(K1, K1, K1)
		if s.bytes == 8 {
			VPANDQ(Z24, ids, Z9)
			VPXORQ(Z8, Z8, Z8)
			VGATHERQPD(Mem{Base: s.stream, Index: Z9, Scale: 8}, K1, Z8)
		} else {
			VPANDD(Z24, ids, Z9)
			VPXORQ(Z8, Z8, Z8)
			VGATHERDPS(Mem{Base: s.stream, Index: Z9, Scale: 4}, K1, Z8)
		}
	})
	Label("next")
}

// eachLane calls value, which leaves values in Z8, for every register of sums, and adds them.
func (s *scorer) eachLane(value func(q, b int)) {
	for q := range s.packs {
		for b := range s.shifts {
			value(q, b)
			sum := Mem{Base: s.sums, Disp: packBytes * (q*s.shifts + b)}
			if s.bytes == 8 {
				VADDPD(sum, Z8, Z8)
			} else {
				VADDPS(sum, Z8, Z8)
			}
			VMOVDQU64(Z8, sum)
		}
	}
}

// shifted returns the register with the ids of shift b at the bottom: the ids themselves, or Z8; gathers use Z9.
func (s *scorer) shifted(q, b int) VecPhysical {
	if b == 0 {
		return zmm[q]
	}
	if s.bytes == 8 {
		VPSRLQ(Imm(uint64(8*b)), zmm[q], Z8)
	} else {
		VPSRLD(Imm(uint64(8*b)), zmm[q], Z8)
	}
	return Z8
}

func (s *scorer) test(bit, ids VecPhysical, k OpmaskPhysical) {
	if s.bytes == 8 {
		VPTESTMQ(bit, ids, k)
	} else {
		VPTESTMD(bit, ids, k)
	}
}

func (s *scorer) permute(high, low, ids VecPhysical) {
	if s.bytes == 8 {
		VPERMI2PD(high, low, ids)
	} else {
		VPERMI2PS(high, low, ids)
	}
}

func (s *scorer) move(from VecPhysical, k OpmaskPhysical, to VecPhysical) {
	if s.bytes == 8 {
		VMOVAPD(from, k, to)
	} else {
		VMOVAPS(from, k, to)
	}
}
