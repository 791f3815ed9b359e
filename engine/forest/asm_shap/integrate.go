package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// integrate adds the contributions of leaves by quadrature with so many points. Rows are in lanes, two quarters at a
// time; see integrateRow for the arithmetic. Nothing is fused: the portable kernel could not do the same.
func integrate(points int) {
	n := name("shapIntegrate", points)
	l := begin(n, ", terms int", fmt.Sprintf("%s adds the contributions of leaves by quadrature with %d points.", n, points))
	q := &quadrature{leafLoop: l, points: points, value: GP64(), mask: GP64(), slot: GP64()}
	Label("leaf")
	l.eachPack()
	q.rowMasks()
	for half := range 2 {
		q.half(half)
	}
	l.nextPack()
	MOVQ(q.value, l.values) // behind the last term
	MOVQ(q.slot, l.slots)
	l.nextLeaf()
}

type quadrature struct {
	*leafLoop
	points int
	value  Register // numbers of the term at hand
	mask   Register // rows that do not satisfy it
	slot   Register

	products [][2]Register // by point: of two quarters
}

// rowMasks fills scratch with the rows that do not satisfy each term.
func (q *quadrature) rowMasks() {
	zero, rows, target := GP64(), GP64(), GP64()
	XORQ(zero, zero)
	Load(Param("terms"), q.left)
	MOVQ(q.scratch, q.mask)
	Label("clear")
	MOVQ(zero, Mem{Base: q.mask})
	ADDQ(Imm(8), q.mask)
	DECQ(q.left)
	JNZ(LabelRef("clear"))
	Load(Param("tests"), q.left)
	MOVQ(q.records, q.record)
	Label("record")
	q.fails(Mem{Base: q.record}, K1)
	KMOVQ(K1, rows)
	MOVL(Mem{Base: q.record, Disp: targetOffset}, target.As32())
	ORQ(rows, Mem{Base: q.scratch, Index: target, Scale: 8})
	ADDQ(Imm(recordBytes), q.record)
	DECQ(q.left)
	JNZ(LabelRef("record"))
}

// termBytes is what a term takes among the values: ratios and factors.
func (q *quadrature) termBytes() int { return 2 * wordBytes * q.points }

// half does two quarters.
func (q *quadrature) half(half int) {
	q.start()
	q.eachTerm(fmt.Sprintf("product%d", half), half, q.multiply)
	unsatisfied := q.dot(Mem{Base: q.values, Disp: wordBytes * q.points})
	MOVQ(q.slots, q.slot)
	q.eachTerm(fmt.Sprintf("term%d", half), half, func() { q.addTerm(half, unsatisfied) })
}

func (q *quadrature) start() {
	q.products = nil
	for k := range q.points {
		p := [2]Register{ZMM(), ZMM()}
		VBROADCASTSS(Mem{Base: q.values, Disp: wordBytes * k}, p[0])
		VMOVAPS(p[0], p[1])
		q.products = append(q.products, p)
	}
}

// eachTerm runs do for every term, with its masks in K1 and K2.
func (q *quadrature) eachTerm(label string, half int, do func()) {
	Load(Param("terms"), q.left)
	MOVQ(q.scratch, q.mask)
	LEAQ(Mem{Base: q.values, Disp: q.termBytes()}, q.value) // start and unsatisfied are as long as a term
	Label(label)
	KMOVW(Mem{Base: q.mask, Disp: 4 * half}, K1)
	KMOVW(Mem{Base: q.mask, Disp: 4*half + 2}, K2)
	do()
	ADDQ(Imm(8), q.mask)
	ADDQ(U32(uint32(q.termBytes())), q.value)
	DECQ(q.left)
	JNZ(LabelRef(label))
}

// multiply takes the products of the unsatisfied rows times the term's ratios.
func (q *quadrature) multiply() {
	ratio := ZMM()
	for k, p := range q.products {
		VBROADCASTSS(Mem{Base: q.value, Disp: wordBytes * k}, ratio)
		VMULPS(ratio, p[0], K1, p[0])
		VMULPS(ratio, p[1], K2, p[1])
	}
}

// dot adds the products up with weights.
func (q *quadrature) dot(weights Mem) [2]Register {
	weight, x := ZMM(), [2]Register{ZMM(), ZMM()}
	sum := [2]Register{ZMM(), ZMM()}
	for k, p := range q.products {
		VBROADCASTSS(weights.Offset(wordBytes*k), weight)
		for i := range sum {
			if k == 0 {
				VMULPS(weight, p[i], sum[i])
				continue
			}
			VMULPS(weight, p[i], x[i])
			VADDPS(x[i], sum[i], sum[i])
		}
	}
	return sum
}

func (q *quadrature) addTerm(half int, unsatisfied [2]Register) {
	sum := q.dot(Mem{Base: q.value, Disp: wordBytes * q.points})
	VMOVAPS(unsatisfied[0], K1, sum[0])
	VMOVAPS(unsatisfied[1], K2, sum[1])
	q.term(Mem{Base: q.slot})
	q.addTo(2*half, sum[0])
	q.addTo(2*half+1, sum[1])
	ADDQ(Imm(wordBytes), q.slot)
}
