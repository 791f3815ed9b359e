package ingest

import "bytes"

// What the guard added to a result or a rejects file is no part of the customer's values: when such a file comes back, its
// cells are read without it. An apostrophe that the customer wrote in front of a formula looks the same, and is taken
// off as well.

// unguard takes the guard's apostrophes off the text of a cell. The result may be text.
func unguard(text []byte) []byte {
	if bytes.IndexByte(text, '\'') < 0 {
		return text
	}
	kept := withoutMarks(text, func(_ int, line []byte, drop func(at int)) {
		for start, end := nextPiece(line, 0); start >= 0; start, end = nextPiece(line, end) {
			if start < end && line[start] == '\'' && isFormulaPiece(line[start+1:end]) {
				drop(start)
			}
		}
	})
	// A line may be a formula only without the apostrophes of its pieces.
	kept = withoutMarks(kept, func(at int, line []byte, drop func(at int)) {
		if len(line) > 0 && line[0] == '\'' && wasGuarded(kept[at+1:], line[1:], at == 0) {
			drop(0)
		}
	})
	if isDecimal(bytes.TrimFunc(kept, invisible)) {
		return text // the guard leaves numbers alone: the apostrophe is the customer's
	}
	return kept
}

// withoutMarks copies text without what find drops, which is called for every line: with its place in the text, and places
// in the line, ascending.
func withoutMarks(text []byte, find func(at int, line []byte, drop func(at int))) []byte {
	kept, done := make([]byte, 0, len(text)), 0
	for at := 0; at <= len(text); {
		line := text[at:]
		if n := bytes.IndexAny(line, "\r\n"); n >= 0 {
			line = line[:n]
		}
		find(at, line, func(place int) {
			kept = append(kept, text[done:at+place]...)
			done = at + place + 1
		})
		at += len(line) + 1
	}
	return append(kept, text[done:]...)
}

// wasGuarded says whether the guard put the apostrophe that a line begins with: in front of a formula, of white space that
// begins a cell, or, once, of a lone sign. line and rest are the line and the text behind it.
func wasGuarded(rest, line []byte, first bool) bool {
	if isFormula(line) || first && bytes.IndexAny(rest, "\t\r\n") == 0 {
		return true
	}
	return first && len(line) == len(rest) && len(line) == 1 && bytes.IndexByte([]byte("=+-@|%"), line[0]) >= 0
}
