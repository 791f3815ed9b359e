package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	packBytes  = 64
	blockBytes = 256 // from column to column

	notLess = 5 // predicate of VPCMPUB: first operand >= second

	headerBytes = 16
	nodeBytes   = 16
)

// precision is what differs between the libraries' sums.
type precision struct {
	name   string
	bytes  int // of a sum
	shifts int // leaf ids in a lane of the sums' width
	tests  int // offset of the lookup constants: bit 4 (double) or 5 (single) of each leaf id in a lane
}

var (
	double = precision{name: "F64", bytes: 8, shifts: 8}
	single = precision{name: "F32", bytes: 4, shifts: 4}
)

var zmm = []VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

var masks = []OpmaskPhysical{K1, K2, K3, K4}

// scorer holds the registers of one scoring function.
type scorer struct {
	precision
	packs       int
	stream      Register
	codes       Register
	slots       Register
	sums        Register
	first, rest Register // counts of the tree's nodes
	kind, size  Register // of the leaf table
	label       string
}

// scoreAVX512 adds trees to the sums of packs of 64 rows. See compile_stream.go for the stream.
//
// Every node is evaluated for all rows, children first: the bytes of a slot say which leaf each row reaches in the
// node's subtree. The root's bytes then pick the leaf values.
func scoreAVX512(name string, packs int, p precision) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(stream *byte, trees int, codes, slots *byte, sums *float%d)", 8*p.bytes))
	Doc(fmt.Sprintf("%s adds trees to the sums of %d rows.", name, packs*packBytes))
	Pragma("noescape")
	s := &scorer{precision: p, packs: packs, label: name}
	s.stream = Load(Param("stream"), GP64())
	trees := Load(Param("trees"), GP64())
	s.codes = Load(Param("codes"), GP64())
	s.slots = Load(Param("slots"), GP64())
	s.sums = Load(Param("sums"), GP64())
	s.first, s.rest, s.kind, s.size = GP64(), GP64(), GP64(), GP64()
	s.lookupConstants()

	Label("tree")
	MOVL(Mem{Base: s.stream}, s.first.(GPVirtual).As32())
	MOVL(Mem{Base: s.stream, Disp: 4}, s.rest.(GPVirtual).As32())
	MOVL(Mem{Base: s.stream, Disp: 8}, s.kind.(GPVirtual).As32())
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

// forks evaluates the nodes whose children are both leaves; their results fill the slots from the first on.
//
//	node: {column offset, threshold ×4, left leaf ×4, right leaf ×4}
func (s *scorer) forks() {
	slot, column := GP64(), GP64()
	MOVQ(s.slots, slot)
	Label("fork")
	MOVL(Mem{Base: s.stream}, column.As32())
	ADDQ(s.codes, column)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 4}, Z31)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 8}, Z30)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 12}, Z29)
	for q := range s.packs {
		VPCMPUB(Imm(notLess), Mem{Base: column, Disp: packBytes * q}, Z31, masks[q])
	}
	for q := range s.packs {
		VPBLENDMB(Z30, Z29, masks[q], zmm[q])
	}
	for q := range s.packs {
		VMOVDQU64(zmm[q], Mem{Base: slot, Disp: packBytes * q})
	}
	ADDQ(U32(packBytes*s.packs), slot)
	ADDQ(Imm(nodeBytes), s.stream)
	DECQ(s.first)
	JNZ(LabelRef("fork"))
}

// joins evaluates all other nodes. Slots are in units of 8 bytes for four packs, of 2 bytes for one.
//
//	node: {column offset, threshold ×4, left slot uint16, right slot uint16, result slot uint16, 0}
func (s *scorer) joins() {
	column, left, right, result := GP64(), GP64(), GP64(), GP64()
	scale := uint8(2 * s.packs)
	TESTQ(s.rest, s.rest)
	JZ(LabelRef("leaves"))
	Label("join")
	MOVL(Mem{Base: s.stream}, column.As32())
	ADDQ(s.codes, column)
	VPBROADCASTD(Mem{Base: s.stream, Disp: 4}, Z31)
	for i, slot := range []GPVirtual{left, right, result} {
		MOVWLZX(Mem{Base: s.stream, Disp: 8 + 2*i}, slot.As32())
		LEAQ(Mem{Base: s.slots, Index: slot, Scale: scale}, slot)
	}
	for q := range s.packs {
		VPCMPUB(Imm(notLess), Mem{Base: column, Disp: packBytes * q}, Z31, masks[q])
	}
	for q := range s.packs {
		VMOVDQU64(Mem{Base: right, Disp: packBytes * q}, zmm[q])
	}
	for q := range s.packs {
		VMOVDQU8(Mem{Base: left, Disp: packBytes * q}, masks[q], zmm[q])
	}
	for q := range s.packs {
		VMOVDQU64(zmm[q], Mem{Base: result, Disp: packBytes * q})
	}
	ADDQ(Imm(nodeBytes), s.stream)
	DECQ(s.rest)
	JNZ(LabelRef("join"))
	Label("leaves")
}
