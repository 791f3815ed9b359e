package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in leadState, see kernels_amd64.go of the package.
const (
	offsetBehind = 0
	offsetSeen   = 8
)

// The classes of bytes, see leads.go of the package.
const (
	classFeedTab = 1 << iota
	classCommaPipe
	classSemicolon
	classBlank
	classQuote
	classReturn
	_
	classLead

	classSeparator = classFeedTab | classCommaPipe | classSemicolon
	classBetween   = classBlank | classQuote
)

// classed are the bytes of a class whose upper and lower halves may be combined at will.
type classed struct {
	class        uint8
	upper, lower []byte
}

// marked are the classes but that of leads.
var marked = []classed{
	{classFeedTab, []byte{0}, []byte{0x9, 0xa}},
	{classCommaPipe, []byte{2, 7}, []byte{0xc}},
	{classSemicolon, []byte{3}, []byte{0xb}},
	{classBlank, []byte{2}, []byte{0}},
	{classQuote, []byte{2}, []byte{2}},
	{classReturn, []byte{0}, []byte{0xd}},
}

// leading are the leads, each group in a class of its own: AVX2 needs them so.
var leading = []classed{
	{1 << 0, []byte{0}, []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0b\x0c\x0e\x0f")},
	{1 << 1, []byte("\x01\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"), []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f")},
	{1 << 2, []byte{2}, []byte{0x5, 0x7, 0xb, 0xd}},
	{1 << 3, []byte{3}, []byte{0xd}},
	{1 << 4, []byte{4}, []byte{0}},
	{1 << 5, []byte{7}, []byte{0xc, 0xf}},
}

// leader finds where formulas may begin.
type leader struct {
	*masker
	at, base Register
	seen     VecVirtual // all classes so far, or-ed
	// AVX-512: the classes of ASCII; and what to test them with.
	low, high, beyond  VecVirtual
	separator, between VecVirtual
	// AVX2: the classes of the halves of bytes.
	marks, leads  [2]VecVirtual // by the lower and by the upper half
	nibbles, zero VecVirtual
}

// leads writes the places of bytes with which a formula may begin, as leadsPortable does.
func leads(w *width) {
	name := "leads" + w.suffix
	TEXT(name, NOSPLIT, "func(text *byte, blocks int, state *byte, base uint32, at *uint32) int")
	Doc(name + " finds the leads in at least one block of 64 bytes and returns their number.")
	Pragma("noescape")
	m := &leader{masker: &masker{width: w}}
	m.text, m.blocks = Load(Param("text"), GP64()), Load(Param("blocks"), GP64())
	m.state = Load(Param("state"), GP64())
	m.base, m.at = Load(Param("base"), GP32()), Load(Param("at"), GP64())
	m.constants()
	behind := GP64()
	MOVQ(m.carried(offsetBehind), behind)

	Label("loop")
	m.load()
	separators, between, found := m.classes()
	// What stands behind a separator: the sum carries over the bytes between.
	reached := GP64()
	LEAQ(Mem{Base: behind, Index: separators, Scale: 2}, reached)
	SHRQ(U8(63), separators)
	MOVQ(separators, behind)
	ADDQ(between, reached)
	ADCQ(Imm(0), behind)
	ANDNQ(reached, between, reached)
	ANDQ(reached, found)
	JZ(LabelRef("next"))
	m.write(found)

	Label("next")
	ADDL(Imm(blockBytes), m.base)
	m.next("loop")

	MOVQ(behind, m.carried(offsetBehind))
	if w.wide {
		VMOVDQU64(m.seen, m.carried(offsetSeen))
	} else {
		VMOVDQU(m.seen, m.carried(offsetSeen))
	}
	SUBQ(NewParamAddr("at", 32), m.at)
	SHRQ(U8(2), m.at)
	VZEROUPPER()
	Store(m.at, ReturnIndex(0))
	RET()
}

func (m *leader) constants() {
	m.seen = m.vector()
	if m.wide {
		VPXORQ(m.seen, m.seen, m.seen)
		table := asciiClasses()
		m.low, m.high = ZMM(), ZMM()
		VMOVDQU64(table, m.low)
		VMOVDQU64(table.Offset(64), m.high)
		m.beyond, m.separator, m.between = m.broadcast(0x80), m.broadcast(classSeparator), m.broadcast(classBetween)
		return
	}
	VPXOR(m.seen, m.seen, m.seen)
	m.zero = YMM()
	VPXOR(m.zero, m.zero, m.zero)
	m.nibbles, m.separator, m.between = m.broadcast(0xf), m.broadcast(classSeparator), m.broadcast(classBetween)
	m.marks, m.leads = halfClasses("marks", marked), halfClasses("leads", leading)
}

// asciiClasses is a table of the classes of ASCII.
func asciiClasses() Mem {
	table := GLOBL("asciiClasses", RODATA|NOPTR)
	var classes [128]uint8
	fill := func(c classed, class uint8) {
		for _, upper := range c.upper {
			for _, lower := range c.lower {
				if upper < 8 {
					classes[upper<<4|lower] |= class
				}
			}
		}
	}
	for _, c := range marked {
		fill(c, c.class)
	}
	for _, c := range leading {
		fill(c, classLead)
	}
	for i, class := range classes {
		DATA(i, U8(class))
	}
	return table
}

// halfClasses loads two tables of the classes that a byte may have by its lower and by its upper half, each twice.
func halfClasses(name string, classes []classed) (loaded [2]VecVirtual) {
	for i, half := range []string{"Lower", "Upper"} {
		table := GLOBL(name+half, RODATA|NOPTR)
		for at := range 32 {
			class := uint8(0)
			for _, c := range classes {
				members := c.lower
				if i == 1 {
					members = c.upper
				}
				if strings.IndexByte(string(members), byte(at%16)) >= 0 {
					class |= c.class
				}
			}
			DATA(at, U8(class))
		}
		loaded[i] = YMM()
		VMOVDQU(table, loaded[i])
	}
	return loaded
}

// classes makes masks of the separators, the bytes between, and the leads of a block, wherever they stand.
func (m *leader) classes() (separators, between, found Register) {
	separators, between, found = GP64(), GP64(), GP64()
	if !m.wide {
		m.classesOfHalves(separators, between, found)
		return separators, between, found
	}
	class, k, ascii := ZMM(), K(), K()
	VMOVDQA64(m.halves[0], class)
	VPTESTNMB(m.beyond, class, ascii) // the table would take the lower seven bits of any byte
	VPERMI2B_Z(m.high, m.low, ascii, class)
	VPORQ(class, m.seen, m.seen)
	VPTESTMB(m.separator, class, k)
	KMOVQ(k, separators)
	VPTESTMB(m.between, class, k)
	KMOVQ(k, between)
	VPORQ(m.halves[0], class, class) // the highest bit is that of a lead, too
	VPMOVB2M(class, k)
	KMOVQ(k, found)
	return separators, between, found
}

func (m *leader) classesOfHalves(separators, between, found Register) {
	for i, text := range m.halves {
		lower, upper, class := YMM(), YMM(), YMM()
		VPAND(m.nibbles, text, lower)
		VPSRLW(U8(4), text, upper)
		VPAND(m.nibbles, upper, upper)
		m.lookUp(m.marks, lower, upper, class)
		VPOR(class, m.seen, m.seen)
		lead := YMM()
		m.lookUp(m.leads, lower, upper, lead)
		m.gather(i, lead, found)
		VPAND(m.separator, class, lower)
		m.gather(i, lower, separators)
		VPAND(m.between, class, class)
		m.gather(i, class, between)
	}
	for _, mask := range []Register{separators, between, found} {
		NOTQ(mask)
	}
}

func (m *leader) lookUp(tables [2]VecVirtual, lower, upper, class VecVirtual) {
	other := YMM()
	VPSHUFB(lower, tables[0], class)
	VPSHUFB(upper, tables[1], other)
	VPAND(other, class, class)
}

// gather adds the bytes that are zero to one half of a mask.
func (m *leader) gather(half int, class VecVirtual, mask Register) {
	VPCMPEQB(m.zero, class, class)
	if half == 0 {
		VPMOVMSKB(class, mask.(GPVirtual).As32())
		return
	}
	upper := GP64()
	VPMOVMSKB(class, upper.As32())
	SHLQ(U8(32), upper)
	ORQ(upper, mask)
}

// write writes the places of a mask, which are few.
func (m *leader) write(mask Register) {
	Label("write")
	place := GP64()
	TZCNTQ(mask, place)
	ADDL(m.base, place.As32())
	MOVL(place.As32(), Mem{Base: m.at})
	ADDQ(Imm(4), m.at)
	BLSRQ(mask, mask)
	JNZ(LabelRef("write"))
}
