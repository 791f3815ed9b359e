package ingest

import "bytes"

// What the guard added to a result or a rejects file is no part of the customer's values: when such a file comes back, or
// is converted to a format that no spreadsheet opens, its cells are read without it. As the guard adds an apostrophe in
// front of the customer's own ones too, this gives back exactly what was guarded.

// unguard takes the guard's apostrophes off the text of a cell. The result may be text.
func unguard(text []byte) []byte {
	if bytes.IndexByte(text, '\'') < 0 || isDecimal(bytes.TrimFunc(behindMarks(text), invisible)) {
		return text // the guard leaves numbers alone
	}
	kept := withoutMarks(text, func(_ int, line []byte, drop func(at int)) {
		for start, end := nextPiece(line, 0); start >= 0; start, end = nextPiece(line, end) {
			if start < end && line[start] == '\'' && isFormulaPiece(behindMarks(line[start:end])) {
				drop(start)
			}
		}
	})
	// A line may be a formula only without the apostrophes of its pieces.
	return withoutMarks(kept, func(at int, line []byte, drop func(at int)) {
		if len(line) > 0 && line[0] == '\'' && beginsFormula(kept[at:], line, at == 0) {
			drop(0)
		}
	})
}

// withoutMarks copies text without what find drops, which is called for every line: with its place in the text, and places
// in the line, ascending.
func withoutMarks(text []byte, find func(at int, line []byte, drop func(at int))) []byte {
	kept, done := make([]byte, 0, len(text)), 0
	for at := 0; at <= len(text); {
		line := firstLine(text[at:])
		find(at, line, func(place int) {
			kept = append(kept, text[done:at+place]...)
			done = at + place + 1
		})
		at += len(line) + 1
	}
	return append(kept, text[done:]...)
}

// loneSign takes the apostrophe off a lone sign, which the guard once put there.
func loneSign(text []byte) []byte {
	if len(text) == 2 && text[0] == '\'' && bytes.IndexByte([]byte("=+-@|%"), text[1]) >= 0 {
		return text[1:]
	}
	return text
}
