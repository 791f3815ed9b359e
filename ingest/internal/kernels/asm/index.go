package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// ahead is how far text is fetched before it is looked at. It comes from main memory, and the machine's own look-ahead
// ends with each page.
const ahead = 2048

// index writes the positions of separators outside quotes. It stores 16 positions at once (8 with AVX2), so there must
// be room for that many more.
func index(w *width) {
	name := "index" + w.suffix
	TEXT(name, NOSPLIT, "func(text *byte, blocks int, state *byte, delimiter uint64, base uint32, at *uint32) int")
	Doc(name + " indexes at least one block of 64 bytes and returns the number of separators.")
	Pragma("noescape")
	m := &masker{width: w}
	m.begin()
	base := Load(Param("base"), GP32())
	at := Load(Param("at"), GP64())
	m.watch()
	out := newPositions(m, at, base)

	Label("loop")
	PREFETCHT0(Mem{Base: m.text, Disp: ahead})
	m.load()
	m.see()
	m.compare(m.quote, m.quotes)
	m.compare(m.feed, m.feeds)
	m.compare(m.given, m.delim)
	m.step("plain")
	JMP(LabelRef("write"))

	Label("plain")
	m.plain()

	Label("write")
	n := GP64()
	POPCNTQ(m.feeds, n)
	ADDQ(n, m.carried(offsetRows))
	out.write(m.delim)
	m.next("loop")

	m.report()
	SUBQ(NewParamAddr("at", 40), at)
	SHRQ(U8(2), at)
	VZEROUPPER()
	Store(at, ReturnIndex(0))
	RET()
}

// watch prepares for see.
func (m *masker) watch() {
	m.high, m.least = m.vector(), m.vector()
	if m.wide {
		VPXORQ(m.high, m.high, m.high)
		VPTERNLOGD(U8(0xff), m.least, m.least, m.least)
		return
	}
	VPXOR(m.high, m.high, m.high)
	VPCMPEQB(m.least, m.least, m.least)
}

// see keeps an eye on NUL and on bytes that are not ASCII.
func (m *masker) see() {
	if m.wide {
		VPORQ(m.halves[0], m.high, m.high)
		VPMINUB(m.halves[0], m.least, m.least)
		return
	}
	for _, half := range m.halves {
		VPOR(half, m.high, m.high)
		VPMINUB(half, m.least, m.least)
	}
}

// report adds what was seen to the state.
func (m *masker) report() {
	high, nul := GP64(), GP64()
	if m.wide {
		k := K()
		VPMOVB2M(m.high, k)
		KMOVQ(k, high)
		VPTESTNMB(m.least, m.least, k)
		KMOVQ(k, nul)
	} else {
		zero := YMM()
		VPMOVMSKB(m.high, high.As32())
		VPXOR(zero, zero, zero)
		VPCMPEQB(zero, m.least, zero)
		VPMOVMSKB(zero, nul.As32())
	}
	ORQ(high, m.carried(offsetHigh))
	ORQ(nul, m.carried(offsetNUL))
}

// positions turns masks into numbers.
type positions struct {
	*masker
	at, base        Register
	numbers, offset VecVirtual // 0 to 63; base in every lane
	advance         VecVirtual // 64 in every lane
}

func newPositions(m *masker, at, base Register) *positions {
	p := &positions{masker: m, at: at, base: base}
	if !m.wide {
		return p
	}
	table := GLOBL("byteNumbers", RODATA|NOPTR)
	for i := range blockBytes {
		DATA(i, U8(i))
	}
	p.numbers, p.offset, p.advance = ZMM(), ZMM(), ZMM()
	VMOVDQU64(table, p.numbers)
	VPBROADCASTD(base, p.offset)
	step := GP32()
	MOVL(U32(blockBytes), step)
	VPBROADCASTD(step, p.advance)
	return p
}

func (p *positions) write(mask Register) {
	n := GP64()
	POPCNTQ(mask, n)
	if p.wide {
		p.compress(mask, n)
		VPADDD(p.advance, p.offset, p.offset)
	} else {
		p.bitByBit(mask, n)
		ADDL(Imm(blockBytes), p.base)
	}
	LEAQ(Mem{Base: p.at, Index: n, Scale: 4}, p.at)
}

// compress writes 16 positions at once; more than 32 in 64 bytes are rare.
func (p *positions) compress(mask, n Register) {
	k, packed, wide := K(), ZMM(), ZMM()
	KMOVQ(mask, k)
	VPCOMPRESSB_Z(p.numbers, k, packed)
	store := func(part int) {
		x := XMM()
		if part == 0 {
			VPMOVZXBD(packed.AsX(), wide)
		} else {
			VEXTRACTI32X4(U8(part), packed, x)
			VPMOVZXBD(x, wide)
		}
		VPADDD(p.offset, wide, wide)
		VMOVDQU32(wide, Mem{Base: p.at, Disp: 64 * part})
	}
	store(0)
	CMPQ(n, Imm(16))
	JBE(LabelRef("written"))
	store(1)
	CMPQ(n, Imm(32))
	JBE(LabelRef("written"))
	store(2)
	store(3)
	Label("written")
}

// bitByBit writes 8 positions at a time.
func (p *positions) bitByBit(mask, n Register) {
	to, left, bit := GP64(), GP64(), GP64()
	MOVQ(p.at, to)
	MOVQ(n, left)
	Label("bits")
	for i := range 8 {
		TZCNTQ(mask, bit)
		ADDL(p.base, bit.As32())
		MOVL(bit.As32(), Mem{Base: to, Disp: 4 * i})
		BLSRQ(mask, mask)
	}
	ADDQ(Imm(32), to)
	SUBQ(Imm(8), left)
	JG(LabelRef("bits"))
}

// scan counts rows and finds the last line end outside quotes, as lineState.step does.
func scan(w *width) {
	name := "scan" + w.suffix
	TEXT(name, NOSPLIT, "func(text *byte, blocks int, state *byte, delimiter uint64)")
	Doc(name + " counts the rows of at least one block of 64 bytes.")
	Pragma("noescape")
	m := &masker{width: w}
	m.begin()

	Label("loop")
	PREFETCHT0(Mem{Base: m.text, Disp: ahead})
	m.load()
	m.compare(m.quote, m.quotes)
	m.compare(m.feed, m.feeds)
	m.compare(m.given, m.delim)
	n := GP64()
	POPCNTQ(m.feeds, n)
	ADDQ(n, m.carried(offsetFeeds))
	m.step("plain")
	JMP(LabelRef("count"))

	Label("plain")
	m.compare(m.carriage, m.cr)
	m.plain()

	Label("count")
	m.countRows()
	m.lastRow()
	m.next("loop")
	VZEROUPPER()
	RET()
}

// countRows adds the line ends that end more than a blank line: not those at the start of a line, or behind a CR there.
// It keeps an eye on lines that begin with a delimiter.
func (m *masker) countRows() {
	starts, blank, lead := GP64(), GP64(), GP64()
	m.shiftIn(m.feeds, offsetStart, starts)
	MOVQ(starts, lead)
	ANDQ(m.delim, lead)
	ANDNQ(lead, m.feeds, lead)
	ORQ(lead, m.carried(offsetLead))
	ANDQ(starts, m.cr)
	m.shiftIn(m.cr, offsetStartCR, blank)
	ORQ(starts, blank)
	ANDNQ(m.feeds, blank, blank)
	POPCNTQ(blank, blank)
	ADDQ(blank, m.carried(offsetRows))
}

// lastRow keeps where the last row so far ends.
func (m *masker) lastRow() {
	at, end, last := GP64(), GP64(), GP64()
	MOVQ(m.carried(offsetAt), at)
	MOVQ(m.carried(offsetEnd), end)
	ADDQ(Imm(blockBytes), at)
	MOVQ(at, m.carried(offsetAt))
	LZCNTQ(m.feeds, last)
	SUBQ(last, at)
	TESTQ(m.feeds, m.feeds)
	CMOVQNE(at, end)
	MOVQ(end, m.carried(offsetEnd))
}
