package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in rowPart, see bin_row.go.
const (
	rowPartBytes = 24
	offsetValue  = 8
	offsetColumn = 12
	offsetTwin   = 16

	offsetPivots = 3096 // in vectorBins
	pivotBytes   = 128  // sixteen thresholds
)

// binRowAVX512 ranks one value in each of many columns. Two rounds of sixteen compares, counted, take the place of a
// search: every sixteenth threshold, then the sixteen in between.
func binRowAVX512(name string, narrow bool) {
	TEXT(name, NOSPLIT, "func(dst *byte, x *float64, parts *byte, n int)")
	Doc(name + " bins one row: n columns and their twins.")
	Pragma("noescape")
	dst, x := Load(Param("dst"), GP64()), Load(Param("x"), GP64())
	parts, n := Load(Param("parts"), GP64()), Load(Param("n"), GP64())
	predicate := uint64(lessThan)
	if narrow {
		predicate = lessOrEqual
	}
	VPTERNLOGQ(Imm(0xFF), Z9, Z9, Z9)
	VPSRLQ(Imm(1), Z9, Z9)

	bins, at, missing, rank, coarse := GP64(), GP64(), GP64(), GP64(), GP64()
	Label("part")
	MOVQ(Mem{Base: parts}, bins)
	MOVL(Mem{Base: parts, Disp: offsetValue}, at.As32())
	if narrow {
		VCVTSD2SS(Mem{Base: x, Index: at, Scale: 8}, X0, X0)
		VCVTSS2SD(X0, X0, X0)
		VBROADCASTSD(X0, Z0)
	} else {
		VBROADCASTSD(Mem{Base: x, Index: at, Scale: 8}, Z0)
	}
	VPANDQ(Z9, Z0, Z1)
	VCMPPD_BCST(Imm(notGreaterThan), Mem{Base: bins, Disp: offsetBound}, Z1, K6)
	KMOVB(K6, missing.As32())
	count := func(from Mem, to GPVirtual) {
		VMOVUPD(from, Z2)
		VMOVUPD(from.Offset(packBytes), Z3)
		VCMPPD(Imm(predicate), Z0, Z2, K1)
		VCMPPD(Imm(predicate), Z0, Z3, K2)
		KUNPCKBW(K1, K2, K1)
		KMOVW(K1, to.As32())
		POPCNTL(to.As32(), to.As32())
	}
	count(Mem{Base: bins, Disp: offsetPivots}, coarse)
	SHLL(Imm(4), coarse.As32())
	LEAQ(Mem{Base: bins, Index: coarse, Scale: 8}, at)
	count(Mem{Base: at, Disp: offsetExact}, rank)
	ADDL(coarse.As32(), rank.As32())

	// A missing value has the code of missing values instead.
	MOVL(Mem{Base: bins, Disp: offsetMissing}, coarse.As32())
	TESTL(missing.As32(), missing.As32())
	CMOVLNE(coarse.As32(), rank.As32())

	// Without a twin, both codes go to one place, the column's last.
	LEAL(Mem{Base: rank, Disp: 1}, at.As32())
	MOVL(Mem{Base: parts, Disp: offsetTwin}, coarse.As32())
	MOVB(at.As8(), Mem{Base: dst, Index: coarse, Scale: 1})
	MOVL(Mem{Base: parts, Disp: offsetColumn}, coarse.As32())
	MOVB(rank.As8(), Mem{Base: dst, Index: coarse, Scale: 1})
	ADDQ(Imm(rowPartBytes), parts)
	DECQ(n)
	JNZ(LabelRef("part"))
	VZEROUPPER()
	RET()
}
