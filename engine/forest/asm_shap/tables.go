package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const tableMin = 16 // entries of the smallest table: a register

// tables adds the contributions of branches with so many bits, looked up by pattern.
//
// The patterns of 64 rows are built as bytes and widened to four registers of indexes. A table of 16 entries is one
// permutation of a register by the indexes, one of 32 a permutation of two; above, two or four of those are blended by
// bits 5 and 6 of the patterns.
func tables(bits int) {
	n := name("shapTables", bits)
	l := begin(n, ", terms int", fmt.Sprintf("%s adds the contributions of branches with %d bits.", n, bits))
	size := max(1<<bits, tableMin)
	bit5, bit6 := bitConstant(bits > 5, 5), bitConstant(bits > 6, 6)
	value, slot := GP64(), GP64()
	Label("leaf")
	l.eachPack()
	t := &lookup{leafLoop: l, bits: bits, patterns: l.patterns(bits), bit5: bit5, bit6: bit6}
	t.masks()
	MOVQ(l.values, value)
	MOVQ(l.slots, slot)
	Load(Param("terms"), l.left)
	Label("term")
	l.term(Mem{Base: slot})
	t.load(Mem{Base: value}, size)
	for quarter := range 4 {
		l.addTo(quarter, t.entry(quarter))
	}
	ADDQ(Imm(wordBytes), slot)
	ADDQ(U32(wordBytes*size), value)
	DECQ(l.left)
	JNZ(LabelRef("term"))
	l.nextPack()
	MOVQ(value, l.values) // behind the last term
	MOVQ(slot, l.slots)
	l.nextLeaf()
}

func bitConstant(wanted bool, bit int) Register {
	if !wanted {
		return nil
	}
	general, vector := GP32(), ZMM()
	MOVL(U32(1<<bit), general)
	VPBROADCASTD(general, vector)
	return vector
}

// patterns gives four registers of 16 patterns: the bits of the records that the rows do not pass. The first record of
// a bit sets it alone; further ones may find it set.
func (l *leafLoop) patterns(bits int) [4]Register {
	bytes, target := ZMM(), ZMM()
	VPXORD(bytes, bytes, bytes)
	for bit := range bits {
		record := Mem{Base: l.records, Disp: recordBytes * bit}
		l.fails(record, K1)
		VPBROADCASTD(record.Offset(targetOffset), target)
		VPADDB(target, bytes, K1, bytes)
	}
	Load(Param("tests"), l.left)
	SUBQ(Imm(uint64(bits)), l.left)
	JZ(LabelRef("widen"))
	MOVQ(l.records, l.record)
	Label("further")
	record := Mem{Base: l.record, Disp: recordBytes * bits}
	l.fails(record, K1)
	VPBROADCASTD(record.Offset(targetOffset), target)
	VMOVDQU8_Z(target, K1, target)
	VPORD(target, bytes, bytes)
	ADDQ(Imm(recordBytes), l.record)
	DECQ(l.left)
	JNZ(LabelRef("further"))
	Label("widen")
	VMOVDQU64(bytes, Mem{Base: l.scratch})
	var patterns [4]Register
	for quarter := range patterns {
		patterns[quarter] = ZMM()
		VPMOVZXBD(Mem{Base: l.scratch, Disp: 16 * quarter}, patterns[quarter])
	}
	return patterns
}

// lookup finds entries of tables.
type lookup struct {
	*leafLoop
	bits       int
	patterns   [4]Register
	bit5, bit6 Register
	table      []Register // the registers of the table at hand
}

// The masks of bit 5 stay in registers for all four quarters, those of bit 6 for three.
var (
	masks5 = [4]OpmaskPhysical{K1, K2, K3, K4}
	masks6 = [4]OpmaskPhysical{K5, K6, K7, K4}
)

func (t *lookup) masks() {
	for quarter := range 4 {
		if t.bits > 5 {
			VPTESTMD(t.bit5, t.patterns[quarter], masks5[quarter])
		}
		if t.bits > 6 && quarter < 3 {
			VPTESTMD(t.bit6, t.patterns[quarter], masks6[quarter])
		}
	}
}

func (t *lookup) load(table Mem, size int) {
	t.table = t.table[:0]
	for i := range size / tableMin {
		r := ZMM()
		VMOVUPS(table.Offset(lanesBytes*i), r)
		t.table = append(t.table, r)
	}
}

// entry gives the entries of a quarter's patterns.
func (t *lookup) entry(quarter int) Register {
	if len(t.table) == 1 {
		y := ZMM()
		VPERMPS(t.table[0], t.patterns[quarter], y)
		return y
	}
	parts := t.pairs(quarter)
	if len(parts) == 1 {
		return parts[0]
	}
	last := t.bits > 6 && quarter == 3
	if last {
		VPTESTMD(t.bit5, t.patterns[quarter], masks5[quarter])
	}
	parts = blend(parts, masks5[quarter])
	if len(parts) == 1 {
		return parts[0]
	}
	if last {
		VPTESTMD(t.bit6, t.patterns[quarter], masks6[quarter])
	}
	return blend(parts, masks6[quarter])[0]
}

// pairs looks the patterns up in every two registers of the table.
func (t *lookup) pairs(quarter int) []Register {
	var parts []Register
	for i := 0; i < len(t.table); i += 2 {
		y := ZMM()
		VMOVDQA64(t.patterns[quarter], y)
		VPERMI2PS(t.table[i+1], t.table[i], y)
		parts = append(parts, y)
	}
	return parts
}

// blend takes the second of every two registers where the mask is set.
func blend(parts []Register, mask OpmaskPhysical) []Register {
	var blended []Register
	for i := 0; i < len(parts); i += 2 {
		VBLENDMPS(parts[i+1], parts[i], mask, parts[i])
		blended = append(blended, parts[i])
	}
	return blended
}
