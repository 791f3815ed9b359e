package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in vectorBins, see kernel_bin.go.
const (
	offsetExact   = 1024
	offsetBound   = 3072
	offsetMissing = 3080
	offsetLevels  = 3084
	offsetRounds  = 3088

	rowsAtOnce = 16

	lessThan       = 17 // predicates of VCMPPS and VCMPPD, quiet
	lessOrEqual    = 18
	notGreaterThan = 26

	firstTree = 16 // Z16 to Z31 hold the search tree
)

// binner holds the registers of one binning function.
type binner struct {
	narrow         bool
	dst, twin, x   Register
	bins           Register
	levels, rounds Register
	node, ids      VecPhysical
}

// binAVX512 ranks 16 values at a time among up to 254 thresholds. The thresholds are a search tree in heap order, all
// of it in sixteen registers: a step down is a permutation and a compare.
//
// XGBoost compares in float32, and that is all. For LightGBM values and thresholds are rounded to float32, which
// keeps their order but may make them equal; the rank is then made exact by comparing with the next threshold in
// float64, as often as thresholds share a float32.
func binAVX512(name string, narrow bool) {
	TEXT(name, NOSPLIT, "func(dst, twin *byte, x *float64, sixteens int, bins *byte)")
	Doc(name + " bins 16 values at a time; twin may be nil.")
	Pragma("noescape")
	b := &binner{narrow: narrow, node: Z2, ids: Z3}
	b.dst, b.twin, b.x = Load(Param("dst"), GP64()), Load(Param("twin"), GP64()), Load(Param("x"), GP64())
	sixteens := Load(Param("sixteens"), GP64())
	b.bins = Load(Param("bins"), GP64())
	b.levels, b.rounds = GP64(), GP64()
	MOVL(Mem{Base: b.bins, Disp: offsetLevels}, b.levels.(GPVirtual).As32())
	MOVL(Mem{Base: b.bins, Disp: offsetRounds}, b.rounds.(GPVirtual).As32())
	b.constants()

	Label("rows")
	b.load()
	b.search()
	if !narrow {
		b.correct()
	}
	b.store()
	ADDQ(Imm(8*rowsAtOnce), b.x)
	ADDQ(Imm(rowsAtOnce), b.dst)
	DECQ(sixteens)
	JNZ(LabelRef("rows"))
	VZEROUPPER()
	RET()
}

func (b *binner) constants() {
	for i := range 16 {
		VMOVUPS(Mem{Base: b.bins, Disp: packBytes * i}, zmm[firstTree+i])
	}
	one := GP32()
	MOVL(U32(1), one)
	VPBROADCASTD(one, Z15)
	SHLXL(b.levels.(GPVirtual).As32(), one, one)
	VPBROADCASTD(one, Z14) // the first node below the tree
	MOVL(U32(32), one)
	VPBROADCASTD(one, Z13)
	VPADDD(Z13, Z13, Z12)
	VPBROADCASTD(Mem{Base: b.bins, Disp: offsetMissing}, Z11)
	VBROADCASTSD(Mem{Base: b.bins, Disp: offsetBound}, Z10)
	VPTERNLOGQ(Imm(0xFF), Z9, Z9, Z9)
	VPSRLQ(Imm(1), Z9, Z9) // clears a sign
	ones := GP32()
	MOVL(U32(0x01010101), ones)
	VPBROADCASTD(ones, X8)
}

// load leaves the rows' values in Z0 and Z1, in Z4 as float32, and the missing ones in K6. A value is missing unless
// its size is above the bound, which every number's is if only NaN is missing.
func (b *binner) load() {
	VMOVUPD(Mem{Base: b.x}, Z0)
	VMOVUPD(Mem{Base: b.x, Disp: packBytes}, Z1)
	VPANDQ(Z9, Z0, Z5)
	VPANDQ(Z9, Z1, Z6)
	VCMPPD(Imm(notGreaterThan), Z10, Z5, K6)
	VCMPPD(Imm(notGreaterThan), Z10, Z6, K5)
	KUNPCKBW(K6, K5, K6)
	VCVTPD2PS(Z0, Y4)
	VCVTPD2PS(Z1, Y5)
	VINSERTF64X4(Imm(1), Y5, Z4, Z4)
}

// search walks down the tree, from node 1 to one below the tree.
func (b *binner) search() {
	levels := GP64()
	MOVQ(b.levels, levels)
	CMPQ(levels, Imm(5))
	JBE(LabelRef("shallow"))
	MOVL(U32(5), levels.As32())
	Label("shallow")
	VMOVDQA64(Z15, b.node)
	Label("level")
	VMOVDQA64(b.node, b.ids)
	VPERMI2PS(zmm[firstTree+1], zmm[firstTree], b.ids)
	b.descend(b.ids)
	DECQ(levels)
	JNZ(LabelRef("level"))

	CMPQ(b.levels, Imm(6))
	JB(LabelRef("found"))
	VMOVDQA64(b.node, b.ids)
	VPERMI2PS(zmm[firstTree+3], zmm[firstTree+2], b.ids)
	b.descend(b.ids)
	CMPQ(b.levels, Imm(7))
	JB(LabelRef("found"))
	b.descend(b.pick(4))
	CMPQ(b.levels, Imm(8))
	JB(LabelRef("found"))
	VPTESTMD(Z12, b.node, K4)
	low := b.pick(8)
	VMOVAPS(low, Z7)
	VMOVAPS(b.pick(12), K4, Z7)
	b.descend(Z7)
	Label("found")
	VPSUBD(Z14, b.node, b.node)
}

// pick looks the nodes up in four registers of the tree.
func (b *binner) pick(first int) VecPhysical {
	VPTESTMD(Z13, b.node, K3)
	VMOVDQA64(b.node, b.ids)
	VMOVDQA64(b.node, Z5)
	VPERMI2PS(zmm[firstTree+first+1], zmm[firstTree+first], b.ids)
	VPERMI2PS(zmm[firstTree+first+3], zmm[firstTree+first+2], Z5)
	VMOVAPS(Z5, K3, b.ids)
	return b.ids
}

// descend goes right where the value is beyond the threshold.
func (b *binner) descend(thresholds VecPhysical) {
	predicate := lessThan
	if b.narrow {
		predicate = lessOrEqual
	}
	VCMPPS(Imm(uint64(predicate)), Z4, thresholds, K2)
	VPADDD(b.node, b.node, b.node)
	VPADDD(Z15, b.node, K2, b.node)
}

// correct makes ranks among rounded thresholds exact.
func (b *binner) correct() {
	rounds := GP64()
	MOVQ(b.rounds, rounds)
	Label("round")
	VEXTRACTI64X4(Imm(1), b.node, Y7)
	KXNORB(K2, K2, K2)
	KXNORB(K3, K3, K3)
	VPXORQ(Z5, Z5, Z5)
	VPXORQ(Z6, Z6, Z6)
	exact := Mem{Base: b.bins, Disp: offsetExact, Scale: 8}
	exact.Index = b.node.AsY()
	VGATHERDPD(exact, K2, Z5)
	exact.Index = Y7
	VGATHERDPD(exact, K3, Z6)
	VCMPPD(Imm(lessThan), Z0, Z5, K2)
	VCMPPD(Imm(lessThan), Z1, Z6, K3)
	KUNPCKBW(K2, K3, K2)
	VPADDD(Z15, b.node, K2, b.node)
	DECQ(rounds)
	JNZ(LabelRef("round"))
}

func (b *binner) store() {
	VMOVDQA32(Z11, K6, b.node)
	VPMOVDB(b.node, X5)
	VMOVDQU(X5, Mem{Base: b.dst})
	TESTQ(b.twin, b.twin)
	JZ(LabelRef("single"))
	VPADDB(X8, X5, X5)
	VMOVDQU(X5, Mem{Base: b.twin})
	ADDQ(Imm(rowsAtOnce), b.twin)
	Label("single")
}
