package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in maskState, see masks.go of the package.
const (
	offsetOpen      = 0
	offsetSeparator = 8
	offsetClosed    = 16
	offsetClosedCR  = 24
	offsetViolation = 32
	offsetValid     = 40
	offsetRows      = 48
	offsetNUL       = 56
	offsetHigh      = 64
	offsetStart     = 72
	offsetStartCR   = 80
	offsetFeeds     = 88
	offsetEnd       = 96
	offsetAt        = 104
	offsetPending   = 112
	offsetLead      = 120
)

const blockBytes = 64

// width is a way to compare 64 bytes.
type width struct {
	suffix string
	wide   bool // 64 bytes at once, into mask registers
}

var (
	avx512 = width{suffix: "AVX512", wide: true}
	avx2   = width{suffix: "AVX2"}
)

// masker has the registers that every loop over blocks needs.
type masker struct {
	*width
	text, blocks, state          Register
	quotes, feeds, delim, cr     Register // masks of the block; what goes on to the next is in memory
	quote, feed, given, carriage VecVirtual
	halves                       [2]VecVirtual
	high, least                  VecVirtual // all bytes so far, or-ed; the smallest of them
}

func (w *width) vector() VecVirtual {
	if w.wide {
		return ZMM()
	}
	return YMM()
}

func (m *masker) broadcast(b byte) VecVirtual {
	v := m.vector()
	from := GP32()
	MOVL(U32(b), from)
	m.broadcastFrom(from, v)
	return v
}

func (m *masker) broadcastFrom(from Register, to VecVirtual) {
	x := XMM()
	VMOVD(from, x)
	VPBROADCASTB(x, to)
}

// begin loads the arguments that all loops have.
func (m *masker) begin() {
	m.text, m.blocks = Load(Param("text"), GP64()), Load(Param("blocks"), GP64())
	m.state = Load(Param("state"), GP64())
	delimiter := Load(Param("delimiter"), GP64())
	m.quote, m.feed, m.carriage = m.broadcast('"'), m.broadcast('\n'), m.broadcast('\r')
	m.given = m.vector()
	m.broadcastFrom(delimiter.(GPVirtual).As32(), m.given)
	m.quotes, m.feeds, m.delim, m.cr = GP64(), GP64(), GP64(), GP64()
}

// carried is a field of the state.
func (m *masker) carried(offset int) Mem {
	return Mem{Base: m.state, Disp: offset}
}

// load takes a block in.
func (m *masker) load() {
	m.halves = [2]VecVirtual{m.vector()}
	if m.wide {
		VMOVDQU64(Mem{Base: m.text}, m.halves[0])
		return
	}
	m.halves[1] = m.vector()
	VMOVDQU(Mem{Base: m.text}, m.halves[0])
	VMOVDQU(Mem{Base: m.text, Disp: 32}, m.halves[1])
}

// compare sets a mask of the bytes that are the same as those of v.
func (m *masker) compare(v VecVirtual, mask Register) {
	if m.wide {
		k := K()
		VPCMPEQB(v, m.halves[0], k)
		KMOVQ(k, mask)
		return
	}
	low, high, upper := YMM(), YMM(), GP64()
	VPCMPEQB(v, m.halves[0], low)
	VPCMPEQB(v, m.halves[1], high)
	VPMOVMSKB(low, mask.(GPVirtual).As32())
	VPMOVMSKB(high, upper.As32())
	SHLQ(U8(32), upper)
	ORQ(upper, mask)
}

// step takes what is inside quotes out of the masks and checks the rules, as maskState.step does. It jumps to the label
// plain if the block needs none of that. At both places m.delim has all separators; m.cr is not set at plain.
func (m *masker) step(plain string) {
	MOVQ(m.quotes, m.cr)
	ORQ(m.carried(offsetPending), m.cr)
	JZ(LabelRef(plain))
	m.compare(m.carriage, m.cr)
	closes := m.clear()
	afterClose, closeCR := GP64(), GP64()
	m.shiftIn(closes, offsetClosed, afterClose)
	MOVQ(afterClose, closeCR)
	ANDQ(m.cr, closeCR)

	// A quote opens a field only behind a separator or a closing quote.
	bad, good := GP64(), GP64()
	m.shiftIn(m.delim, offsetSeparator, good)
	ORQ(afterClose, good)
	ANDNQ(m.quotes, good, bad)
	// Behind a closing quote comes a separator, the second of a pair, or a CR.
	MOVQ(m.delim, good)
	ORQ(m.quotes, good)
	ORQ(closeCR, good)
	ANDNQ(afterClose, good, good)
	ORQ(good, bad)
	// Behind that CR comes a line feed.
	m.shiftIn(closeCR, offsetClosedCR, good)
	ANDNQ(good, m.feeds, good)
	ORQ(good, bad)
	ANDQ(m.carried(offsetValid), bad)
	ORQ(bad, m.carried(offsetViolation))

	MOVQ(m.carried(offsetOpen), bad)
	ORQ(m.carried(offsetClosed), bad)
	ORQ(m.carried(offsetClosedCR), bad)
	MOVQ(bad, m.carried(offsetPending))
}

// clear takes what is inside quotes out of feeds and delim, adds feeds to delim, leaves the opening quotes in quotes
// and returns the closing ones.
func (m *masker) clear() Register {
	// The exclusive or of all bits up to each one is a multiplication without carries.
	x, all, in, closes := XMM(), XMM(), GP64(), GP64()
	VMOVQ(m.quotes, x)
	VPCMPEQB(all, all, all)
	VPCLMULQDQ(U8(0), all, x, x)
	VMOVQ(x, in)
	XORQ(m.carried(offsetOpen), in)
	ANDNQ(m.quotes, in, closes)
	ANDQ(in, m.quotes)
	ANDNQ(m.feeds, in, m.feeds)
	ANDNQ(m.delim, in, m.delim)
	ORQ(m.feeds, m.delim)
	SARQ(U8(63), in)
	MOVQ(in, m.carried(offsetOpen))
	return closes
}

// plain is what remains of step for a block that has to do with no quote.
func (m *masker) plain() {
	last := GP64()
	ORQ(m.feeds, m.delim)
	MOVQ(m.delim, last)
	SHRQ(U8(63), last)
	MOVQ(last, m.carried(offsetSeparator))
}

// shiftIn sets to to a mask moved one up, with the carry from the block before, and the carry to the mask's last bit.
func (m *masker) shiftIn(mask Register, carry int, to Register) {
	last := GP64()
	MOVQ(mask, to)
	ADDQ(to, to)
	ORQ(m.carried(carry), to)
	MOVQ(mask, last)
	SHRQ(U8(63), last)
	MOVQ(last, m.carried(carry))
}

// next moves to the next block.
func (m *masker) next(loop string) {
	ADDQ(Imm(blockBytes), m.text)
	DECQ(m.blocks)
	JNZ(LabelRef(loop))
}
