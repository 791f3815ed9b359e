package ingest

import (
	"bytes"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// Strict quoting: a quote opens a field only at its start, and behind the closing one comes a separator or a line end. A
// row that breaks this ends at the next line feed, whatever its quotes enclose. The masks of the index see that a rule is
// broken; this state machine then says where, and where the rows end. It is the slow, plain twin, and is entered for no
// other text.

// quoting reads text byte by byte from a row start.
type quoting struct {
	delimiter byte
	state     quotingState
	fields    int // delimiters of the row so far
	open      int // where the quotes of the field were opened, or the stray quote
	bad       int // where the quoting of the row breaks; of use while the state is broken
}

type quotingState uint8

const (
	fieldStart quotingState = iota
	plainField
	quotedField
	closedField
	closedReturn // a CR behind the closing quote
	brokenRow
)

// step reads the byte at a place and says whether it ends a row.
func (q *quoting) step(b byte, at int) (ends bool) {
	switch {
	case q.state == quotedField:
		if b == '"' {
			q.state = closedField
		}
		return false
	case b == '\n':
		ends = true
		q.state, q.fields = fieldStart, 0
	case q.state == brokenRow:
	case q.state == closedReturn:
		q.breaks(at - 2)
	case b == q.delimiter:
		q.state = fieldStart
		q.fields++
	case b == '"' && q.state == fieldStart:
		q.state, q.open = quotedField, at
	case b == '"' && q.state == closedField:
		q.state = quotedField
	case b == '"':
		q.open = at
		q.breaks(at)
	case q.state == closedField && b == '\r':
		q.state = closedReturn
	case q.state == closedField:
		q.breaks(at - 1)
	default:
		q.state = plainField
	}
	return ends
}

func (q *quoting) breaks(at int) { q.state, q.bad = brokenRow, at }

// rowEnd goes on from a place and finds the line feed that ends the row, or -1.
func (q *quoting) rowEnd(text []byte, from int) int {
	for at := from; at < len(text); at++ {
		if q.step(text[at], at) {
			return at
		}
	}
	return -1
}

// brokenMax is how many rows with broken quotes are listed.
const brokenMax = 10

// scanBroken is a scan of text whose quoting is broken somewhere. It lists where, of rows that end in the text.
func scanBroken(text []byte, delimiter byte) (found kernels.Scanned, broken []int) {
	q := quoting{delimiter: delimiter}
	start, feeds := 0, int64(0)
	for at, b := range text {
		if b == '\n' {
			feeds++
		}
		bad := q.state == brokenRow
		if !q.step(b, at) {
			continue
		}
		if bad && len(broken) < brokenMax {
			broken = append(broken, q.bad)
		}
		if len(trimCR(text[start:at])) > 0 {
			found.Rows++
		}
		start = at + 1
		found.End, found.Lines = start, feeds
	}
	found.Open, found.Lead = q.state == quotedField, true
	return found, broken
}

// brokenPlace is a row whose quoting is broken.
type brokenPlace struct {
	start uint32 // of the row in the chunk
	field int    // the field, from 0, in which it breaks
}

// indexBroken is an index of text whose quoting is broken somewhere: a broken row has no separator but the line feed that
// ends it.
func indexBroken(text []byte, delimiter byte, base uint32, at []uint32) (facts kernels.Indexed, broken []brokenPlace) {
	q := quoting{delimiter: delimiter}
	row, first := uint32(0), 0 // where the row starts, and how many separators stand before it
	for i, b := range text {
		before := q.state
		ends := q.step(b, i)
		switch {
		case ends:
			at[facts.N] = base + uint32(i)
			facts.N++
			facts.Rows++
			row, first = uint32(i)+1, facts.N
		case q.state == brokenRow && before != brokenRow:
			broken = append(broken, brokenPlace{start: base + row, field: q.fields})
			facts.N = first
		case q.state == fieldStart && b == delimiter:
			at[facts.N] = base + uint32(i)
			facts.N++
		}
	}
	facts.Open = q.state == quotedField
	facts.NUL = bytes.IndexByte(text, 0) >= 0
	facts.High = bytes.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) >= 0
	return facts, broken
}

// badQuote is where quoting breaks: at is the quote in question, open the one that opened its field.
type badQuote struct {
	at, open int
	ended    bool // the text ended inside quotes
}

// locate turns a place in text whose first byte is on a line into an error.
func (b badQuote) locate(text []byte, line int64) *QuoteError {
	opened := line + int64(bytes.Count(text[:b.open], []byte{'\n'}))
	across := bytes.IndexByte(text[b.open:b.at], '\n') >= 0
	return &QuoteError{Line: opened, Unclosed: b.ended || across}
}

// firstBadQuote reads text from a row start to the end of the input and finds the first violation.
func firstBadQuote(text []byte, delimiter byte) (badQuote, bool) {
	q := quoting{delimiter: delimiter}
	for at, b := range text {
		if q.step(b, at); q.state == brokenRow {
			return badQuote{at: q.bad, open: q.open}, true
		}
	}
	return badQuote{at: len(text), open: q.open, ended: true}, q.state == quotedField
}
