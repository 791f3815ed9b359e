package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in smallDictionary, see dictionary.go of the package.
const (
	offsetMultiplier = 0
	offsetLong       = 8
	offsetTables     = 16
	tableBytes       = 8 * 16
)

// Tables of smallDictionary.
const (
	tableFirst = iota
	tableLast
	tableSecond
	tableThird
	tableMeta
	tables
)

// lookup has a dictionary of 16 slots in registers.
type lookup struct {
	celler
	words [tables][2]VecVirtual
	slot  VecVirtual
}

// categories finds eight cells at once among up to 16 texts of at most 32 bytes.
func categories() {
	TEXT("categoriesAVX512", NOSPLIT,
		"func(codes *uint16, slow, text *byte, at *uint32, stride int, ends *uint32, eights int, small *byte)")
	Doc("categoriesAVX512 looks up eight cells at a time and marks those that it does not find.")
	Pragma("noescape")
	var l lookup
	codes := Load(Param("codes"), GP64())
	l.begin("lanesOfCategories")
	small := Load(Param("small"), GP64())
	l.loadTables(small)
	multiplier := ZMM()
	VPBROADCASTQ(Mem{Base: small, Disp: offsetMultiplier}, multiplier)
	eightBytes, sixteen, full := all(8), all(16), all(^uint64(0))
	l.slot = ZMM()

	Label("loop")
	l.load()
	first, last, shift, hash := ZMM(), ZMM(), ZMM(), ZMM()
	l.gather(l.start, 0, first)
	VPSLLQ(U8(3), l.size, shift)
	VPSLLVQ(shift, full, shift) // all bits but those of the cell; none from eight bytes on
	VPANDNQ(first, shift, first)
	beyond := K()
	VPCMPUQ(U8(6), eightBytes, l.size, beyond) // more than 8
	VMOVDQA64_Z(l.front, beyond, last)
	VPROLQ(U8(29), last, hash)
	VPXORQ(first, hash, hash)
	VPSLLQ(U8(57), l.size, shift)
	VPXORQ(shift, hash, hash)
	second, third := ZMM(), ZMM()
	VPXORQ(second, second, second)
	VPXORQ(third, third, third)
	CMPQ(Mem{Base: small, Disp: offsetLong}, Imm(0))
	JE(LabelRef("short"))
	long := K()
	VPCMPUQ(U8(6), sixteen, l.size, long)
	KORTESTB(long, long)
	JZ(LabelRef("short"))
	l.gatherSome(long, l.start, 8, second)
	l.gatherSome(long, l.end, -16, third)
	VPROLQ(U8(17), second, shift)
	VPXORQ(shift, hash, hash)
	VPROLQ(U8(43), third, shift)
	VPXORQ(shift, hash, hash)

	Label("short")
	VPMULLQ(multiplier, hash, hash)
	VPSRLQ(U8(60), hash, l.slot)
	meta, size, found := ZMM(), ZMM(), K()
	l.at16(tableMeta, meta)
	VPSRLQ(U8(32), meta, size)
	VPCMPEQQ(size, l.size, found)
	l.same(tableFirst, first, found)
	l.same(tableLast, last, found)
	l.same(tableSecond, second, found)
	l.same(tableThird, third, found)

	packed, left := XMM(), K()
	VPMOVQW(meta, packed)
	VMOVDQU(packed, Mem{Base: codes})
	ADDQ(Imm(2*eight), codes)
	KNOTB(found, left)
	l.next(left, "loop")
	VZEROUPPER()
	RET()
}

func (l *lookup) loadTables(small Register) {
	for t := range l.words {
		for half := range l.words[t] {
			l.words[t][half] = ZMM()
			VMOVDQU64(Mem{Base: small, Disp: offsetTables + t*tableBytes + half*64}, l.words[t][half])
		}
	}
}

// at16 reads a table at each lane's slot.
func (l *lookup) at16(table int, to VecVirtual) {
	VMOVDQA64(l.slot, to)
	VPERMI2Q(l.words[table][1], l.words[table][0], to)
}

// same keeps found where a word is that of the slot.
func (l *lookup) same(table int, word VecVirtual, found Register) {
	wanted := ZMM()
	l.at16(table, wanted)
	VPCMPEQQ(wanted, word, found, found)
}

// gatherSome loads eight bytes at a distance from the places of some lanes.
func (l *lookup) gatherSome(lanes Register, place VecVirtual, distance int, to VecVirtual) {
	again := K()
	KMOVB(lanes, again)
	VPGATHERQQ(Mem{Base: l.text, Index: place, Scale: 1, Disp: distance}, again, to)
}
