package ingest

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Most windows have nothing for the guard to change. A kernel finds the few bytes with which a formula may begin: behind a
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
// breaksInside looks for those that stand inside cells.
var byteClasses = classesOfBytes()

func classesOfBytes() (table [256]uint8) {
	for b := range table {
		if formulaLeads[b] && b != ' ' && b != '\n' && b != '\r' || b == '\'' {
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

// leads is what the search for leads finds besides their places.
type leads struct {
	n                         int // places found
	quote, semicolon, returns bool
}

// newLeads reads the marks off the classes of a text.
func newLeads(n int, seen uint8) leads {
	return leads{n: n, quote: seen&classQuote != 0, semicolon: seen&classSemicolon != 0, returns: seen&classReturn != 0}
}

// leadsPortable writes the places of leads to at, counted from base. The text starts at a row start; at has room for one
// place a byte and one more.
func leadsPortable(text []byte, base uint32, at []uint32) leads {
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

// formulas appends where in the chunk the window has cells that the guard changes. A window with line ends or
// semicolons inside cells gives the starts of all its rows instead. The positions ascend.
func (w *window) formulas(dst []int32) []int32 {
	text := w.chunk.Bytes[w.start:w.end]
	if room := len(text) + slack; len(w.leads) < room {
		w.leads = make([]uint32, room)
	}
	found := kernel.leads(text, uint32(w.start), w.leads)
	if w.breaksInside(text, found) {
		for i, before := range w.at[:w.n] {
			if i == 0 || w.endsRow(before) {
				dst = append(dst, int32(before+1))
			}
		}
		return dst
	}
	cell, done := 0, -1
	for _, place := range w.leads[:found.n] {
		for w.at[cell+1] < place {
			cell++
		}
		if cell == done || place == w.at[cell+1] || !mayBegin(w.padded[place:]) {
			continue
		}
		done = cell
		start, end := w.at[cell]+1, w.at[cell+1]
		if w.endsRow(end) {
			end = w.rowEnd(start, end)
		}
		if guardText(unquote(w.padded[start:end], nil)) != nil {
			dst = append(dst, int32(start))
		}
	}
	return dst
}

// mayBegin says whether a formula may begin with a lead: apostrophes and letters beyond ASCII are leads too.
func mayBegin(text []byte) bool {
	text = behindMarks(text)
	if len(text) == 0 || text[0] < utf8.RuneSelf {
		return len(text) > 0 && formulaLeads[text[0]]
	}
	first, _ := utf8.DecodeRune(text)
	return strings.ContainsRune("＝＋－＠｜％", first) || invisible(first)
}

// breaksInside says whether cells may have line ends, or semicolons that do not end them.
func (w *window) breaksInside(text []byte, found leads) bool {
	if w.delimiter != ';' && found.semicolon {
		return true
	}
	if found.quote {
		ends := w.facts.rows
		if int(w.at[w.n]) == len(w.chunk.Bytes) {
			ends-- // the virtual one
		}
		if bytes.Count(text, []byte{'\n'}) != ends {
			return true
		}
	}
	return found.returns && bytes.Count(text, []byte{'\r'}) != bytes.Count(text, []byte("\r\n"))
}
