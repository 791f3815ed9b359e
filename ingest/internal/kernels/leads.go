package kernels

import (
	"bytes"
	"strings"
)

// Most text has nothing for the guard against formulas to change. A kernel finds the few bytes with which a formula may begin: behind a
// separator of any program, with nothing but blanks and quotation marks between.

// The classes of bytes, and marks of bytes that matter wherever they stand. The assembly has the same.
const (
	classFeedTab = 1 << iota
	classCommaPipe
	classSemicolon
	classBlank
	classQuote
	classReturn
	classBefore // separators and what may stand behind them; portable twin only
	classLead

	classSeparator = classFeedTab | classCommaPipe | classSemicolon
)

// byteClasses has the classes of every byte. Apostrophes are leads: a formula may stand behind them. Line ends are none:
// the caller looks for those that stand inside cells.
var byteClasses = classesOfBytes()

func classesOfBytes() (table [256]uint8) {
	for b := range table {
		if FormulaLeads[b] && b != ' ' && b != '\n' && b != '\r' || b == '\'' {
			table[b] = classLead
		}
	}
	for class, members := range map[uint8]string{
		classFeedTab | classBefore: "\n\t", classCommaPipe | classBefore: ",|", classSemicolon | classBefore: ";",
		classBlank | classBefore: " ", classQuote | classBefore: "\"", classReturn: "\r",
	} {
		for _, b := range []byte(members) {
			table[b] |= class
		}
	}
	return table
}

// FormulaLeads are the bytes that the text of a cell must begin with for the guard to look closer: the signs,
// everything that may be trimmed in front of them, and the first bytes of characters beyond ASCII, which may be either.
var FormulaLeads = leadBytes()

func leadBytes() (table [256]bool) {
	for b := range table {
		table[b] = b <= ' ' || b >= 0x7f || strings.IndexByte("=+-@|%", byte(b)) >= 0
	}
	return table
}

// Leads is what the search for leads finds besides their places.
type Leads struct {
	N                         int // places found
	Quote, Semicolon, Returns bool
}

// newLeads reads the marks off the classes of a text.
func newLeads(n int, seen uint8) Leads {
	return Leads{N: n, Quote: seen&classQuote != 0, Semicolon: seen&classSemicolon != 0, Returns: seen&classReturn != 0}
}

// leadsPortable writes the places of leads to at, counted from base. The text starts at a row start; at has room for one
// place a byte and one more.
func leadsPortable(text []byte, base uint32, at []uint32) Leads {
	n, seen, before := 0, uint8(0), uint8(classBefore)
	for i, b := range text {
		class := byteClasses[b]
		seen |= class
		if class&(before<<1)&classLead != 0 && behindSeparator(text[:i]) {
			at[n] = base + uint32(i)
			n++
		}
		before = class
	}
	return newLeads(n, seen)
}

// behindSeparator says whether nothing but blanks and quotation marks stand between the last separator of a text, or its
// start, and its end.
func behindSeparator(text []byte) bool {
	text = bytes.TrimRight(text, " \"")
	return len(text) == 0 || byteClasses[text[len(text)-1]]&classSeparator != 0
}
