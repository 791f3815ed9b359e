package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The AVX2 kernels add the same numbers in the same order as the AVX-512 kernels. Half the lanes, a quarter of the codes of
// a pack in a register and no mask registers: what is a mask there is a register of lanes here.

const (
	halfBytes  = 32 // codes in a register
	groupRows  = 8  // float32 lanes of a register
	groupBytes = 32 // their sums
	groups     = packBytes / groupRows
)

// narrowTest is a record in registers. A row passes where the lesser of hi - code and span is hi - code.
type narrowTest struct{ hi, span, column Register }

// narrowTest loads a record.
func (l *leafLoop) narrowTest(record Mem) narrowTest {
	t := narrowTest{YMM(), YMM(), GP64()}
	MOVL(record, t.column.(GPVirtual).As32())
	VPBROADCASTD(record.Offset(hiOffset), t.hi)
	VPBROADCASTD(record.Offset(spanOffset), t.span)
	return t
}

// passes has all bits of every byte set whose row, in one half of the pack, passes.
func (t narrowTest) passes(code Register, half int) Register {
	x, least := YMM(), YMM()
	VPSUBB(Mem{Base: code, Index: t.column, Scale: 1, Disp: halfBytes * half}, t.hi, x)
	VPMINUB(t.span, x, least)
	VPCMPEQB(x, least, x)
	return x
}

// eachRecord runs do for every record of the leaf.
func (l *leafLoop) eachRecord(do func(record Mem)) {
	Load(Param("tests"), l.left)
	MOVQ(l.records, l.record)
	Label("record")
	do(Mem{Base: l.record})
	ADDQ(Imm(recordBytes), l.record)
	DECQ(l.left)
	JNZ(LabelRef("record"))
}

// narrowTables is tables with eight rows at a time. An entry is found by permutations of the table's registers by the three
// lowest bits of the pattern, of which the others choose one.
func narrowTables(bits int) {
	n := fmt.Sprintf("shapTables%dAVX2", bits)
	l := begin(n, ", terms int", fmt.Sprintf("%s adds the contributions of branches with %d bits.", n, bits))
	value, slot := GP64(), GP64()
	Label("leaf")
	l.eachPack()
	l.narrowPatterns()
	for group := range groups {
		t := newNarrowLookup(l, bits, group)
		MOVQ(l.values, value)
		MOVQ(l.slots, slot)
		Load(Param("terms"), l.left)
		label := fmt.Sprintf("term%d", group)
		Label(label)
		l.term(Mem{Base: slot})
		l.addToGroup(group, t.entry(bits, Mem{Base: value}))
		ADDQ(Imm(wordBytes), slot)
		ADDQ(U32(wordBytes*max(1<<bits, tableMin)), value)
		DECQ(l.left)
		JNZ(LabelRef(label))
	}
	l.nextPack()
	MOVQ(value, l.values) // behind the last term
	MOVQ(slot, l.slots)
	l.nextLeaf()
}

// narrowPatterns fills scratch with the patterns of 64 rows: the bits of the records that they do not pass.
func (l *leafLoop) narrowPatterns() {
	patterns := [2]Register{YMM(), YMM()}
	for _, p := range patterns {
		VPXOR(p, p, p)
	}
	l.eachRecord(func(record Mem) {
		test, target := l.narrowTest(record), YMM()
		VPBROADCASTD(record.Offset(targetOffset), target)
		for half, p := range patterns {
			x := test.passes(l.code, half)
			VPANDN(target, x, x)
			VPOR(x, p, p)
		}
	})
	for half, p := range patterns {
		VMOVDQU(p, Mem{Base: l.scratch, Disp: halfBytes * half})
	}
}

// narrowLookup finds entries of tables for the eight patterns of a group.
type narrowLookup struct {
	patterns Register
	upper    map[int]Register // by bit from 3 on: the patterns with that bit in front
}

func newNarrowLookup(l *leafLoop, bits, group int) narrowLookup {
	t := narrowLookup{YMM(), map[int]Register{}}
	VPMOVZXBD(Mem{Base: l.scratch, Disp: groupRows * group}, t.patterns)
	for bit := 3; bit < bits; bit++ {
		t.upper[bit] = YMM()
		VPSLLD(Imm(uint64(31-bit)), t.patterns, t.upper[bit])
	}
	return t
}

// entry looks up in a table of so many bits.
func (t narrowLookup) entry(bits int, table Mem) Register {
	if bits <= 3 {
		y := YMM()
		VPERMPS(table, t.patterns, y)
		return y
	}
	unset := t.entry(bits-1, table)
	set := t.entry(bits-1, table.Offset(wordBytes<<(bits-1)))
	VBLENDVPS(t.upper[bits-1], set, unset, unset)
	return unset
}

// addToGroup adds to the sums of a group.
func (l *leafLoop) addToGroup(group int, x Register) {
	at := Mem{Base: l.place, Disp: groupBytes * group}
	VADDPS(at, x, x)
	VMOVUPS(x, at)
}

// narrowIntegrate is integrate with eight rows at a time.
func narrowIntegrate(points int) {
	n := fmt.Sprintf("shapIntegrate%dAVX2", points)
	l := begin(n, ", terms int", fmt.Sprintf("%s adds the contributions of leaves by quadrature with %d points.", n, points))
	q := &narrowQuadrature{leafLoop: l, points: points, value: GP64(), mask: GP64(), slot: GP64()}
	Label("leaf")
	l.eachPack()
	q.masks()
	for group := range groups {
		q.group(group)
	}
	l.nextPack()
	MOVQ(q.value, l.values) // behind the last term
	MOVQ(q.slot, l.slots)
	l.nextLeaf()
}

type narrowQuadrature struct {
	*leafLoop
	points int
	value  Register // numbers of the term at hand
	mask   Register // a byte for each row: all ones if it does not satisfy the term
	slot   Register

	products []Register // by point
}

// masks fills scratch with 64 bytes for each term.
func (q *narrowQuadrature) masks() {
	zero := YMM()
	VPXOR(zero, zero, zero)
	Load(Param("terms"), q.left)
	MOVQ(q.scratch, q.mask)
	Label("clear")
	for half := range 2 {
		VMOVDQU(zero, Mem{Base: q.mask, Disp: halfBytes * half})
	}
	ADDQ(Imm(packBytes), q.mask)
	DECQ(q.left)
	JNZ(LabelRef("clear"))
	ones := YMM()
	VPCMPEQB(ones, ones, ones)
	q.eachRecord(func(record Mem) {
		test := q.narrowTest(record)
		MOVL(record.Offset(targetOffset), q.mask.(GPVirtual).As32())
		SHLQ(Imm(6), q.mask)
		ADDQ(q.scratch, q.mask)
		for half := range 2 {
			at := Mem{Base: q.mask, Disp: halfBytes * half}
			x := test.passes(q.code, half)
			VPANDN(ones, x, x)
			VPOR(at, x, x)
			VMOVDQU(x, at)
		}
	})
}

func (q *narrowQuadrature) termBytes() int { return 2 * wordBytes * q.points }

// group does eight rows.
func (q *narrowQuadrature) group(group int) {
	q.products = nil
	for k := range q.points {
		p := YMM()
		VBROADCASTSS(Mem{Base: q.values, Disp: wordBytes * k}, p)
		q.products = append(q.products, p)
	}
	q.eachTerm(fmt.Sprintf("product%d", group), group, q.multiply)
	unsatisfied := q.dot(Mem{Base: q.values, Disp: wordBytes * q.points})
	MOVQ(q.slots, q.slot)
	q.eachTerm(fmt.Sprintf("term%d", group), group, func(mask Register) {
		sum := q.dot(Mem{Base: q.value, Disp: wordBytes * q.points})
		VBLENDVPS(mask, unsatisfied, sum, sum)
		q.term(Mem{Base: q.slot})
		q.addToGroup(group, sum)
		ADDQ(Imm(wordBytes), q.slot)
	})
}

// eachTerm runs do for every term, with the mask of the group's rows.
func (q *narrowQuadrature) eachTerm(label string, group int, do func(mask Register)) {
	Load(Param("terms"), q.left)
	MOVQ(q.scratch, q.mask)
	LEAQ(Mem{Base: q.values, Disp: q.termBytes()}, q.value) // start and unsatisfied are as long as a term
	Label(label)
	mask := YMM()
	VPMOVSXBD(Mem{Base: q.mask, Disp: groupRows * group}, mask)
	do(mask)
	ADDQ(Imm(packBytes), q.mask)
	ADDQ(U32(uint32(q.termBytes())), q.value)
	DECQ(q.left)
	JNZ(LabelRef(label))
}

// multiply takes the products of the unsatisfied rows times the term's ratios.
func (q *narrowQuadrature) multiply(mask Register) {
	x := YMM()
	for k, p := range q.products {
		VBROADCASTSS(Mem{Base: q.value, Disp: wordBytes * k}, x)
		VMULPS(x, p, x)
		VBLENDVPS(mask, x, p, p)
	}
}

// dot adds the products up with weights.
func (q *narrowQuadrature) dot(weights Mem) Register {
	sum, x := YMM(), YMM()
	for k, p := range q.products {
		to := x
		if k == 0 {
			to = sum
		}
		VBROADCASTSS(weights.Offset(wordBytes*k), to)
		VMULPS(to, p, to)
		if k > 0 {
			VADDPS(x, sum, sum)
		}
	}
	return sum
}
