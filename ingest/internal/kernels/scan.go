package kernels

import (
	"bytes"
	"math/bits"
)

// Scanned is what one pass over text that starts at a row start finds of its rows.
type Scanned struct {
	End       int   // behind the last line feed outside quotes; 0 if there is none
	Rows      int64 // line ends outside quotes, blank lines not counted
	Lines     int64 // line feeds before end, inside quotes or not
	Open      bool  // the text ends inside quotes
	Violation bool  // quoting is broken somewhere; rows, lines and end mean nothing then
	Lead      bool  // a line begins with a delimiter; of no use with violation
}

// scanPortable counts the rows of text, which starts at a row start, and finds where the last one ends.
func scanPortable(text []byte, delimiter byte) Scanned {
	if bytes.IndexByte(text, '"') < 0 {
		if found, ok := scanLines(text, delimiter); ok {
			return found
		}
	}
	return scanMasks(text, delimiter)
}

// scanLines does it for text without quotes, unless it may have a blank line.
func scanLines(text []byte, delimiter byte) (found Scanned, ok bool) {
	for at := 0; at < len(text); {
		switch text[at] {
		case '\n', '\r':
			return Scanned{}, false
		case delimiter:
			found.Lead = true
		}
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
		found.End = at
		found.Lines++
	}
	found.Rows = found.Lines
	return found, true
}

// scanMasks is scanPortable for any text, 64 bytes at a time.
func scanMasks(text []byte, delimiter byte) Scanned {
	state := atRowStart()
	pattern := uint64(delimiter) * ones
	rest := text
	for ; len(rest) >= blockBytes; rest = rest[blockBytes:] {
		state.scan((*[blockBytes]byte)(rest), pattern)
	}
	if len(rest) > 0 {
		tail := state.tail(rest)
		state.scan(&tail, pattern)
	}
	return state.scanned(text)
}

func (s *maskState) scanned(text []byte) Scanned {
	return Scanned{
		End: int(s.end), Rows: s.rows, Open: s.open != 0, Violation: s.violation != 0, Lead: s.lead != 0,
		Lines: s.feeds - int64(bytes.Count(text[s.end:], []byte{'\n'})),
	}
}

// scan counts the rows of a block.
func (s *maskState) scan(text *[blockBytes]byte, pattern uint64) {
	b := masksOf(text, pattern)
	s.feeds += popcount(b.feeds)
	s.step(&b)
	starts := b.feeds<<1 | s.start
	s.lead |= starts & b.delimiters
	returnsAtStart := b.returns & starts
	blank := b.feeds & (starts | returnsAtStart<<1 | s.startCR)
	s.start, s.startCR = b.feeds>>63, returnsAtStart>>63
	s.rows += popcount(b.feeds &^ blank)
	if b.feeds != 0 {
		s.end = s.at + int64(64-bits.LeadingZeros64(b.feeds))
	}
	s.at += blockBytes
}
