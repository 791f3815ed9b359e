package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// reader turns eight cells into numbers.
type reader struct {
	celler
	zeros, nines, dot         VecVirtual // in every byte; the dot as '0' ^ '.'
	tens, hundreds, thousands VecVirtual // weights that join digits
	powers                    [2]VecVirtual
	left                      Register // cells that are left over
	fraction, sign            VecVirtual
}

// numbers reads eight plain decimals at once, as decimalWords does one.
func numbers() {
	TEXT("numbersAVX512", NOSPLIT,
		"func(values *float64, slow, text *byte, at *uint32, stride int, ends *uint32, eights int, low, high float64)")
	Doc("numbersAVX512 reads eight cells at a time and marks those that are no plain decimal within the bounds.")
	Pragma("noescape")
	var r reader
	values := Load(Param("values"), GP64())
	r.begin("lanesOfNumbers")
	r.constants()
	r.left, r.fraction, r.sign = K(), ZMM(), ZMM()
	value := ZMM()

	Label("loop")
	r.load()
	VPXORQ(r.fraction, r.fraction, r.fraction)
	wide := K()
	VPCMPQ_BCST(U8(6), r.number(8), r.size, wide)
	KORTESTB(wide, wide)
	JNZ(LabelRef("wide"))
	r.narrow(value)
	JMP(LabelRef("read"))
	Label("wide")
	r.wide(value)

	Label("read")
	r.scale(value)
	out := K()
	VCMPPD_BCST(U8(17), NewParamAddr("low", 56), value, out) // less than, quiet
	KORB(out, r.left, r.left)
	VCMPPD_BCST(U8(30), NewParamAddr("high", 64), value, out) // greater than, quiet
	KORB(out, r.left, r.left)
	VMOVUPD(value, Mem{Base: values})
	ADDQ(Imm(8*eight), values)
	r.next(r.left, "loop")
	VZEROUPPER()
	RET()
}

func (r *reader) constants() {
	r.zeros, r.nines, r.dot = allBytes('0'), allBytes(9), allBytes('0'^'.')
	r.tens, r.hundreds, r.thousands = all(0x010a010a010a010a), all(0x0001006400010064), all(10_000)
	table := GLOBL("powersOfTen", RODATA|NOPTR)
	for i := range 16 {
		DATA(8*i, F64(math.Pow10(i)))
	}
	for half := range r.powers {
		r.powers[half] = ZMM()
		VMOVUPD(table.Offset(64*half), r.powers[half])
	}
}

// unsign takes a leading minus, the lowest byte of first, off size and shift.
func (r *reader) unsign(first, shift VecVirtual) {
	negative, b := K(), ZMM()
	VPSLLQ(U8(56), first, b)
	VPSRLQ(U8(56), b, b)
	VPCMPEQQ_BCST(r.number('-'), b, negative)
	VPSUBQ(r.one, r.size, negative, r.size)
	VPADDQ_BCST(r.number(8), shift, negative, shift)
	VPMOVM2Q(negative, r.sign)
	VPSLLQ(U8(63), r.sign, r.sign)
	VPTESTNMQ(r.size, r.size, r.left)
}

// shiftOf is how far the first digit of a cell is from the lowest byte of its last eight.
func (r *reader) shiftOf() VecVirtual {
	shift, zero := ZMM(), ZMM()
	VPXORQ(zero, zero, zero)
	VPSLLQ(U8(3), r.size, shift)
	VPSUBQ_BCST(r.number(64), shift, shift)
	VPSUBQ(shift, zero, shift)
	return shift
}

// digits turns characters into digits and what is in front of the cell into zeros.
func (r *reader) digits(text, shift VecVirtual) VecVirtual {
	y := ZMM()
	VPXORQ(r.zeros, text, y)
	VPSRLVQ(shift, y, y)
	VPSLLVQ(shift, y, y)
	return y
}

// narrow reads cells of at most eight characters.
func (r *reader) narrow(value VecVirtual) {
	shift := r.shiftOf()
	first := ZMM()
	VPSRLVQ(shift, r.front, first)
	r.unsign(first, shift)
	y := r.digits(r.front, shift)
	dots, has := r.dots(y)
	KORTESTB(has, has)
	JZ(LabelRef("whole"))
	r.dotAlone(has)
	r.close(y, dots, has)
	r.places(dots, has, 0)
	Label("whole")
	r.check(y)
	r.join(y)
	VCVTUQQ2PD(y, value)
}

// wide reads cells of at most sixteen.
func (r *reader) wide(value VecVirtual) {
	upper, first, shift := ZMM(), ZMM(), r.shiftOf()
	upperShift := ZMM()
	r.gather(r.end, -16, upper)
	VPADDQ_BCST(r.number(64), shift, upperShift)
	// A shift by 64 and more, or by less than 0, leaves nothing: one of the two has the first character.
	VPSRLVQ(shift, r.front, first)
	VPSRLVQ(upperShift, upper, upperShift)
	VPORQ(upperShift, first, first)
	r.unsign(first, shift)
	VPADDQ_BCST(r.number(64), shift, upperShift)
	y1 := r.digits(upper, upperShift)
	VPXORQ(first, first, first)
	VPMAXSQ(first, shift, shift)
	y0 := r.digits(r.front, shift)

	bad := K()
	VPCMPQ_BCST(U8(6), r.number(16), r.size, bad)
	KORB(bad, r.left, r.left)
	dots0, has0 := r.dots(y0)
	dots1, has1 := r.dots(y1)
	KANDB(has0, has1, bad)
	KORB(bad, r.left, r.left)
	r.dotAlone(has0)
	r.close(y0, dots0, has0)
	moved := ZMM()
	VPSRLQ(U8(56), y1, moved)
	VPORQ(moved, y0, has0, y0)
	r.close(y1, dots1, has1)
	VPSLLQ(U8(8), y1, has0, y1)
	r.places(dots0, has0, 0)
	r.places(dots1, has1, 8)

	r.check(y0)
	r.check(y1)
	r.join(y0)
	r.join(y1)
	VPMULUDQ_BCST(r.number(100_000_000), y1, y1)
	VPADDQ(y1, y0, y0)
	VPCMPUQ_BCST(U8(5), r.number(1_000_000_000_000_000), y0, bad) // not less
	KORB(bad, r.left, r.left)
	VCVTUQQ2PD(y0, value)
}

// dots has all bits of the bytes that are dots, and the lanes that have one.
func (r *reader) dots(y VecVirtual) (VecVirtual, Register) {
	each, has, dots := K(), K(), ZMM()
	VPCMPEQB(r.dot, y, each)
	VPMOVM2B(each, dots)
	VPTESTMQ(dots, dots, has)
	return dots, has
}

// dotAlone leaves a dot without digits over.
func (r *reader) dotAlone(has Register) {
	alone := K()
	VPCMPEQQ(r.one, r.size, has, alone)
	KORB(alone, r.left, r.left)
}

// close moves what is before a dot one byte up, over it. A second dot stays, and is no digit.
func (r *reader) close(y, dots VecVirtual, has Register) {
	lowest, before, up := ZMM(), ZMM(), ZMM()
	VPXORQ(lowest, lowest, lowest)
	VPSUBQ(dots, lowest, lowest)
	VPANDQ(dots, lowest, lowest)
	VPSUBQ(r.one, lowest, before)
	VPANDQ(y, before, up)
	VPSLLQ(U8(8), up, up)
	VPSLLQ(U8(8), lowest, lowest)
	VPSUBQ(r.one, lowest, lowest) // the dot and the bytes before it
	VPANDNQ(y, lowest, lowest)
	VPORQ(up, lowest, has, y)
}

// places counts the digits behind the dot.
func (r *reader) places(dots VecVirtual, has Register, more uint64) {
	n := ZMM()
	VPLZCNTQ(dots, n)
	VPSRLQ(U8(3), n, n)
	if more > 0 {
		VPADDQ_BCST(r.number(8), n, n)
	}
	VMOVDQA64(n, has, r.fraction)
}

// check leaves cells over that have a byte above nine.
func (r *reader) check(y VecVirtual) {
	over, bad := ZMM(), K()
	VPSUBUSB(r.nines, y, over)
	VPTESTMQ(over, over, bad)
	KORB(bad, r.left, r.left)
}

// join makes one number of eight digits.
func (r *reader) join(y VecVirtual) {
	pairs, high := ZMM(), ZMM()
	VPMADDUBSW(r.tens, y, pairs)
	VPMADDWD(r.hundreds, pairs, pairs)
	VPMULUDQ(r.thousands, pairs, high)
	VPSRLQ(U8(32), pairs, pairs)
	VPADDQ(high, pairs, y)
}

// scale divides by the power of ten, which rounds once, and sets the sign.
func (r *reader) scale(value VecVirtual) {
	some := K()
	VPTESTMQ(r.fraction, r.fraction, some)
	KORTESTB(some, some)
	JZ(LabelRef("scaled"))
	VPERMI2PD(r.powers[1], r.powers[0], r.fraction)
	VDIVPD(r.fraction, value, value)
	Label("scaled")
	VPORQ(r.sign, value, value)
}
