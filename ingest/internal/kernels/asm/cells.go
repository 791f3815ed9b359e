package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const eight = 8 // cells at once, one in each 64-bit lane

// celler reads one field of eight rows at once.
type celler struct {
	text, at, ends, eights  Register
	slow                    Register
	rowBytes                Register   // from one row's separator to the same of eight rows on, in bytes
	lanes                   VecVirtual // the same for each lane
	one, low32, quote       VecVirtual // 1; the low half; a quote
	numbers                 map[uint64]Mem
	start, end, size, front VecVirtual // of the cells; front is the last eight bytes of each
}

// all is a constant in every lane.
func all(value uint64) VecVirtual {
	from, to := GP64(), ZMM()
	MOVQ(U64(value), from)
	VPBROADCASTQ(from, to)
	return to
}

func allBytes(b byte) VecVirtual {
	return all(0x0101010101010101 * uint64(b))
}

// number is a constant in memory, for an operand that goes to every lane.
func (c *celler) number(value uint64) Mem {
	if c.numbers == nil {
		c.numbers = map[uint64]Mem{}
	}
	if at, ok := c.numbers[value]; ok {
		return at
	}
	at := GLOBL(fmt.Sprintf("number%d", value), RODATA|NOPTR)
	DATA(0, U64(value))
	c.numbers[value] = at
	return at
}

// begin loads the arguments that say where the cells are.
func (c *celler) begin(lanes string) {
	c.slow, c.text = Load(Param("slow"), GP64()), Load(Param("text"), GP64())
	c.at, c.ends = Load(Param("at"), GP64()), Load(Param("ends"), GP64())
	c.eights = Load(Param("eights"), GP64())
	c.rowBytes = Load(Param("stride"), GP64())
	c.lanes = ZMM()
	numbers := GLOBL(lanes, RODATA|NOPTR)
	for i := range eight {
		DATA(8*i, U64(i))
	}
	VPBROADCASTQ(c.rowBytes, c.lanes)
	VPMULLQ(numbers, c.lanes, c.lanes)
	SHLQ(U8(3), c.rowBytes)
	c.one, c.low32, c.quote = all(1), all(1<<32-1), all('"')
	c.start, c.end, c.size, c.front = ZMM(), ZMM(), ZMM(), ZMM()
}

// gather loads eight bytes at a distance from each place.
func (c *celler) gather(place VecVirtual, distance int, to VecVirtual) {
	k := K()
	KXNORB(k, k, k)
	VPXORQ(to, to, to) // waits for no former value
	VPGATHERQQ(Mem{Base: c.text, Index: place, Scale: 1, Disp: distance}, k, to)
}

// load finds the next eight cells and takes their quotes off. A cell that ends with a quote starts with one: the index
// has seen to that.
func (c *celler) load() {
	k, pair, separator := K(), ZMM(), ZMM()
	KXNORB(k, k, k)
	VPGATHERQQ(Mem{Base: c.at, Index: c.lanes, Scale: 1}, k, pair)
	// The separator before the first row of a chunk is -1, in 32 bits.
	VPADDD(c.one, pair, separator)
	VPANDQ(c.low32, separator, c.start)
	VPSRLQ(U8(32), pair, c.end)
	TESTQ(c.ends, c.ends)
	JZ(LabelRef("bounded"))
	VPMOVZXDQ(Mem{Base: c.ends}, c.end)
	ADDQ(Imm(4*eight), c.ends)

	Label("bounded")
	VPSUBQ(c.start, c.end, c.size)
	c.gather(c.end, -8, c.front)
	quoted, again, byte7 := K(), K(), ZMM()
	VPSRLQ(U8(56), c.front, byte7)
	VPCMPEQQ(c.quote, byte7, quoted)
	KORTESTB(quoted, quoted)
	JZ(LabelRef("bare"))
	VPADDQ(c.one, c.start, quoted, c.start)
	VPSUBQ(c.one, c.end, quoted, c.end)
	VPSUBQ(c.start, c.end, c.size)
	KMOVB(quoted, again)
	VPGATHERQQ(Mem{Base: c.text, Index: c.end, Scale: 1, Disp: -8}, again, c.front)

	Label("bare")
}

// next stores which cells are left over and moves on.
func (c *celler) next(left Register, loop string) {
	bits := GP32()
	KMOVB(left, bits)
	MOVB(bits.As8(), Mem{Base: c.slow})
	INCQ(c.slow)
	ADDQ(c.rowBytes, c.at)
	DECQ(c.eights)
	JNZ(LabelRef(loop))
}
