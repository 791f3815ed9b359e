package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	notLessEqual = 6 // predicate of VPCMPUB: first operand > second

	testBytes = 64 // of a chunk: columns, then thresholds
)

// scoreRowAVX512 scores one row. Lanes are trees: a chunk holds 64 tests, of as many trees as there are lanes and as
// many nodes of each as fill the register. A test that goes right strikes out the leaves of the node's left subtree;
// the first leaf left is the one that the row reaches. See compile_row.go for the layout.
func scoreRowAVX512(name string, bits int, p precision) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(stream *byte, groups int, codes *byte, sum float%[1]d) float%[1]d", 8*p.bytes))
	Doc(fmt.Sprintf("%s adds trees of up to %d leaves to the sum of one row.", name, bits))
	Pragma("noescape")
	lanes := 512 / bits
	values := AllocLocal(8 * 16)
	stream := Load(Param("stream"), GP64())
	groups := Load(Param("groups"), GP64())
	codes := Load(Param("codes"), GP64())
	sum := Load(Param("sum"), XMM())
	VMOVDQU64(Mem{Base: codes}, Z16)
	VMOVDQU64(Mem{Base: codes, Disp: packBytes}, Z17)
	chunks := GP64()

	Label("group")
	MOVL(Mem{Base: stream}, chunks.As32())
	VMOVDQU64(Mem{Base: stream, Disp: packBytes}, Z18) // where each tree's leaf values start
	ADDQ(U32(2*packBytes), stream)
	VPTERNLOGD(Imm(0xFF), Z19, Z19, Z19)
	Label("chunk")
	VMOVDQU64(Mem{Base: stream}, Z20)
	VPERMI2B(Z17, Z16, Z20)
	VPCMPUB(Imm(notLessEqual), Mem{Base: stream, Disp: testBytes}, Z20, K1)
	for node := range packBytes / lanes {
		strike := Mem{Base: stream, Disp: 2*testBytes + packBytes*node}
		k := K1
		if node > 0 {
			k = []OpmaskPhysical{K2, K3, K4, K5, K6, K7}[node%6]
			KSHIFTRQ(Imm(uint64(lanes*node)), K1, k)
		}
		if bits == 32 {
			VPANDD(strike, Z19, k, Z19)
		} else {
			VPANDQ(strike, Z19, k, Z19)
		}
	}
	ADDQ(U32(2*testBytes+packBytes*packBytes/lanes), stream)
	DECL(chunks.As32())
	JNZ(LabelRef("chunk"))
	rowValues(bits, p, stream, values)
	for lane := range lanes {
		if p.bytes == 8 {
			VADDSD(values.Offset(8*lane), sum, sum)
		} else {
			VADDSS(values.Offset(4*lane), sum, sum)
		}
	}
	ADDQ(U32(p.bytes*bits*lanes), stream)
	DECQ(groups)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	Store(sum, ReturnIndex(0))
	RET()
}

// rowValues stores the values of the leaves that the trees in the lanes of Z19 reach.
func rowValues(bits int, p precision, stream Register, values Mem) {
	KXNORQ(K1, K1, K1)
	KXNORQ(K2, K2, K2)
	VPXORQ(Z21, Z21, Z21)
	if bits == 64 {
		VPLZCNTQ(Z19, Z19)
		VPADDQ(Z18, Z19, Z19)
		if p.bytes == 8 {
			VGATHERQPD(Mem{Base: stream, Index: Z19, Scale: 8}, K1, Z21)
			VMOVUPD(Z21, values)
			return
		}
		VGATHERQPS(Mem{Base: stream, Index: Z19, Scale: 4}, K1, Y21)
		VMOVUPS(Y21, values)
		return
	}
	VPLZCNTD(Z19, Z19)
	VPADDD(Z18, Z19, Z19)
	if p.bytes == 4 {
		VGATHERDPS(Mem{Base: stream, Index: Z19, Scale: 4}, K1, Z21)
		VMOVUPS(Z21, values)
		return
	}
	VPXORQ(Z22, Z22, Z22)
	VEXTRACTI64X4(Imm(1), Z19, Y20)
	VGATHERDPD(Mem{Base: stream, Index: Y19, Scale: 8}, K1, Z21)
	VGATHERDPD(Mem{Base: stream, Index: Y20, Scale: 8}, K2, Z22)
	VMOVUPD(Z21, values)
	VMOVUPD(Z22, values.Offset(packBytes))
}
