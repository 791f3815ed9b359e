package ingest

import (
	"bytes"
	"math/bits"
)

// scanned is what one pass over text that starts at a row start tells about its rows.
type scanned struct {
	end       int   // behind the last line feed outside quotes; 0 if there is none
	rows      int64 // line ends outside quotes, blank lines not counted
	lines     int64 // line feeds before end, inside quotes or not
	open      bool  // the text ends inside quotes
	violation bool  // quoting is broken somewhere; rows, lines and end mean nothing then
}

// scanPortable counts the rows of text, which starts at a row start, and finds where the last one ends.
func scanPortable(text []byte, delimiter byte) scanned {
	if bytes.IndexByte(text, '"') < 0 && !blankLines(text) {
		end := bytes.LastIndexByte(text, '\n') + 1
		feeds := int64(bytes.Count(text, []byte{'\n'}))
		return scanned{end: end, rows: feeds, lines: feeds}
	}
	return scanMasks(text, delimiter)
}

// blankLines says whether text without quotes may have a blank line.
func blankLines(text []byte) bool {
	front := len(text) > 0 && text[0] == '\n' || bytes.HasPrefix(text, []byte("\r\n"))
	return front || bytes.Contains(text, []byte("\n\n")) || bytes.Contains(text, []byte("\n\r\n"))
}

// scanMasks is scanPortable for any text, 64 bytes at a time.
func scanMasks(text []byte, delimiter byte) scanned {
	var result scanned
	state := lineState{quoting: quoting{separator: 1}, start: 1}
	pattern := uint64(delimiter) * ones
	at := 0
	for ; at+blockBytes <= len(text); at += blockBytes {
		state.step(masksOf((*[blockBytes]byte)(text[at:]), pattern), at, everyByte)
	}
	if at < len(text) {
		var tail [blockBytes]byte
		copy(tail[:], text[at:])
		state.step(masksOf(&tail, pattern), at, firstBytes(len(text)-at))
	}
	result.end, result.rows, result.violation = state.end, state.rows, state.violation != 0
	result.open = state.open != 0
	result.lines = state.feeds - int64(bytes.Count(text[state.end:], []byte{'\n'}))
	return result
}

// lineState follows line ends through the blocks of a text.
type lineState struct {
	quoting
	start, startCR uint64 // 1 if the byte before the block was a line feed, or a CR right behind one
	rows, feeds    int64
	end            int
}

func (s *lineState) step(b block, at int, valid uint64) {
	s.feeds += popcount(b.feeds)
	s.quoting.step(&b, valid)
	starts := b.feeds<<1 | s.start
	returnsAtStart := b.returns & starts
	blank := b.feeds & (starts | returnsAtStart<<1 | s.startCR)
	s.start, s.startCR = b.feeds>>63, returnsAtStart>>63
	s.rows += popcount(b.feeds &^ blank)
	if b.feeds != 0 {
		s.end = at + 64 - bits.LeadingZeros64(b.feeds)
	}
}
