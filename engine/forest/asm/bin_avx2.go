package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const halfRows = 8 // at once

// narrowBinner holds the registers of one AVX2 binning function.
type narrowBinner struct {
	narrow         bool
	dst, twin, x   Register
	bins           Register
	levels, rounds Register
}

// binAVX2 is binAVX512 with eight values at once. A register holds the first three levels of the search tree; the
// thresholds below are gathered.
func binAVX2(name string, narrow bool) {
	TEXT(name, NOSPLIT, "func(dst, twin *byte, x *float64, eights int, bins *byte)")
	Doc(name + " bins 8 values at a time; twin may be nil.")
	Pragma("noescape")
	b := &narrowBinner{narrow: narrow}
	b.dst, b.twin, b.x = Load(Param("dst"), GP64()), Load(Param("twin"), GP64()), Load(Param("x"), GP64())
	eights := Load(Param("eights"), GP64())
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
	ADDQ(Imm(8*halfRows), b.x)
	ADDQ(Imm(halfRows), b.dst)
	DECQ(eights)
	JNZ(LabelRef("rows"))
	VZEROUPPER()
	RET()
}

// constants: Y15 the top of the tree, Y14 ones, Y13 the first node below the tree, Y12 what clears a sign, Y11 the
// bound, Y10 the code of missing values, X9 ones in bytes.
func (b *narrowBinner) constants() {
	VMOVUPS(Mem{Base: b.bins}, Y15)
	one := GP64()
	MOVQ(U32(1), one)
	VMOVQ(one, X14)
	VPBROADCASTD(X14, Y14)
	VMOVQ(b.levels, X13)
	VPSLLD(X13, Y14, Y13)
	VPCMPEQD(Y12, Y12, Y12)
	VPSRLQ(Imm(1), Y12, Y12)
	VBROADCASTSD(Mem{Base: b.bins, Disp: offsetBound}, Y11)
	VPBROADCASTD(Mem{Base: b.bins, Disp: offsetMissing}, Y10)
	VPBROADCASTB(X14, X9)
}

// load leaves the values in Y0 and Y1, in Y2 as float32, and in Y3 which ones are missing.
func (b *narrowBinner) load() {
	VMOVUPD(Mem{Base: b.x}, Y0)
	VMOVUPD(Mem{Base: b.x, Disp: vectorBytes}, Y1)
	VCVTPD2PSY(Y0, X2)
	VCVTPD2PSY(Y1, X3)
	VINSERTF128(Imm(1), X3, Y2, Y2)
	VANDPD(Y12, Y0, Y4)
	VANDPD(Y12, Y1, Y5)
	VCMPPD(Imm(notGreaterThan), Y11, Y4, Y4)
	VCMPPD(Imm(notGreaterThan), Y11, Y5, Y5)
	b.join(Y4, Y5, Y3)
}

// join packs two masks of four into one of eight.
func (b *narrowBinner) join(low, high, to VecPhysical) {
	VSHUFPS(Imm(0x88), high, low, to)
	VPERMQ(Imm(0xD8), to, to)
}

// search leaves the ranks in Y4.
func (b *narrowBinner) search() {
	top, rest := GP64(), GP64()
	MOVQ(b.levels, top)
	XORL(rest.As32(), rest.As32())
	CMPQ(top, Imm(3))
	JBE(LabelRef("shallow"))
	LEAQ(Mem{Base: top, Disp: -3}, rest)
	MOVQ(U32(3), top)
	Label("shallow")
	VMOVDQA(Y14, Y4)
	Label("level")
	VPERMPS(Y15, Y4, Y5)
	b.descend()
	DECQ(top)
	JNZ(LabelRef("level"))
	TESTQ(rest, rest)
	JZ(LabelRef("found"))
	Label("deep")
	VPCMPEQD(Y6, Y6, Y6)
	VPXOR(Y5, Y5, Y5)
	VGATHERDPS(Y6, Mem{Base: b.bins, Index: Y4, Scale: 4}, Y5)
	b.descend()
	DECQ(rest)
	JNZ(LabelRef("deep"))
	Label("found")
	VPSUBD(Y13, Y4, Y4)
}

// descend goes right where the value is beyond the threshold in Y5.
func (b *narrowBinner) descend() {
	predicate := lessThan
	if b.narrow {
		predicate = lessOrEqual
	}
	VCMPPS(Imm(uint64(predicate)), Y2, Y5, Y5)
	VPADDD(Y4, Y4, Y4)
	VPSUBD(Y5, Y4, Y4)
}

// correct makes ranks among rounded thresholds exact.
func (b *narrowBinner) correct() {
	rounds := GP64()
	MOVQ(b.rounds, rounds)
	Label("round")
	VEXTRACTI128(Imm(1), Y4, X8)
	for i, index := range []VecPhysical{X4, X8} {
		values := []VecPhysical{Y0, Y1}[i]
		to := []VecPhysical{Y5, Y6}[i]
		VPCMPEQD(Y7, Y7, Y7)
		VPXOR(to, to, to)
		VGATHERDPD(Y7, Mem{Base: b.bins, Disp: offsetExact, Index: index, Scale: 8}, to)
		VCMPPD(Imm(lessThan), values, to, to)
	}
	b.join(Y5, Y6, Y5)
	VPSUBD(Y5, Y4, Y4)
	DECQ(rounds)
	JNZ(LabelRef("round"))
}

func (b *narrowBinner) store() {
	VBLENDVPS(Y3, Y10, Y4, Y4)
	VEXTRACTI128(Imm(1), Y4, X5)
	VPACKUSDW(X5, X4, X4)
	VPACKUSWB(X4, X4, X4)
	VMOVQ(X4, Mem{Base: b.dst})
	TESTQ(b.twin, b.twin)
	JZ(LabelRef("single"))
	VPADDB(X9, X4, X4)
	VMOVQ(X4, Mem{Base: b.twin})
	ADDQ(Imm(halfRows), b.twin)
	Label("single")
}
