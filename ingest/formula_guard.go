package ingest

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// CSV injection (formula injection): a spreadsheet takes a cell that begins with = + - or @ for a formula, and runs it on
// the machine that opens the file; | and % begin commands in what some of them still read. The guard puts an apostrophe in
// front of such a cell, and of such a line of a cell, so that it stays text. A program that splits at another separator than the file's makes cells
// of the pieces between separators: they are guarded too. Numbers, and lone signs but =, stay as they are, byte for byte. An
// apostrophe that is there already gets another one, so that what the guard added can be taken off again exactly: see
// unguard. Our own files are written as they were when they come back. The guard changes data, so it can be left off:
// [Mapping].Guard.

// separators are the bytes at which programs split lines into cells.
const separators = ",;\t|"

// isFormula says whether the text of a cell, or one line of it, needs the guard.
func isFormula(text []byte) bool {
	if len(text) == 0 || !kernels.FormulaLeads[text[0]] {
		return false
	}
	rest := bytes.TrimFunc(text, invisible)
	if isDecimal(rest) {
		return false
	}
	switch text[0] {
	case '\t', '\r', '\n':
		return true
	}
	first, _ := utf8.DecodeRune(rest)
	switch first {
	case '=', '＝': // alone, too: a program that splits elsewhere goes on behind it
		return true
	case '+', '-', '@', '|', '%', '＋', '－', '＠', '｜', '％':
		return len(rest) > utf8.RuneLen(first) // a lone sign is none
	}
	return false
}

// isFormulaPiece is isFormula for the text behind a separator inside a cell, from where its quotation marks end. Brackets
// that close behind a number, as in lists, are no part of it.
func isFormulaPiece(text []byte) bool {
	return isFormula(text) && !isDecimal(bytes.TrimFunc(bytes.TrimRight(text, "])}\" "), invisible))
}

// nextPiece finds the next piece of a line behind a separator at or after a place: where it begins, behind quotation marks,
// and where it ends. It is -1 if there is none.
func nextPiece(line []byte, from int) (start, end int) {
	n := bytes.IndexAny(line[from:], separators)
	if n < 0 {
		return -1, -1
	}
	start = from + n + 1
	for start < len(line) && line[start] == '"' {
		start++
	}
	if n = bytes.IndexAny(line[start:], separators); n < 0 {
		return start, len(line)
	}
	return start, start + n
}

// invisible says whether a spreadsheet may pass over a character in front of a formula.
func invisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

// AppendGuardedRow is [Mapping.AppendRow] with every cell guarded. The cells of a file of millrace's own are guarded once.
func (m Mapping) AppendGuardedRow(dst, row []byte) []byte {
	if len(m.Former) > 0 {
		return appendGuarded(dst, m.AppendRow(nil, row), m.Header.Delimiter, guardOnce)
	}
	return appendGuarded(dst, row, m.Header.Delimiter, guardText)
}

// GuardRows guards CSV text of whole rows and says whether that changed anything.
func GuardRows(text []byte, delimiter byte) (guarded []byte, changed bool) {
	for rest := text; len(rest) > 0; {
		end := firstRowEnd(rest)
		if end < 0 {
			end = len(rest)
		}
		row := trimCR(rest[:end])
		guarded = appendGuarded(guarded, row, delimiter, guardText)
		guarded = append(guarded, rest[len(row):min(end+1, len(rest))]...)
		rest = rest[min(end+1, len(rest)):]
	}
	return guarded, !bytes.Equal(guarded, text)
}

// IsFormula reports whether the guard changes a text where it stands behind a separator, or in a cell of its own.
func IsFormula(text string) bool {
	behind := append([]byte{separators[0]}, text...)
	return guardText(behind) != nil || guardText(behind[1:]) != nil
}

// AppendGuarded appends cells with the guard's apostrophes. cells is a row, or a part of one that begins at a cell's start
// or with a delimiter, without a line end.
func AppendGuarded(dst, cells []byte, delimiter byte) []byte {
	return appendGuarded(dst, cells, delimiter, guardText)
}

func appendGuarded(dst, row []byte, delimiter byte, guard func(text []byte) []byte) []byte {
	for first := true; first || row != nil; first = false {
		if !first {
			dst = append(dst, delimiter)
		}
		var cell []byte
		cell, row = cutField(row, delimiter)
		dst = appendGuardedCell(dst, cell, delimiter, guard)
	}
	return dst
}

// appendGuardedCell writes a cell as it stands, unless it needs the guard, or quotes: a spreadsheet may take a
// semicolon or a lone CR for the end of a cell whatever the delimiter of the file is.
func appendGuardedCell(dst, cell []byte, delimiter byte, guard func(text []byte) []byte) []byte {
	text := unquote(cell, nil)
	guarded := guard(text)
	if guarded == nil && (len(cell) > 0 && cell[0] == '"' || bytes.IndexByte(cell, ';') < 0 &&
		bytes.IndexByte(cell, '\r') < 0) {
		return append(dst, cell...)
	}
	if guarded == nil {
		guarded = text
	}
	if len(cell) > 0 && cell[0] == '"' || bytes.IndexByte(guarded, delimiter) >= 0 ||
		bytes.ContainsAny(guarded, "\";\r\n") {
		return appendQuoted(dst, guarded)
	}
	return append(dst, guarded...)
}

// guardText gives the guarded text of a cell; nil if it needs no guard. The text may have apostrophes of its own in front
// of a formula: then one more is added, so that [unguard] finds what was there.
func guardText(text []byte) []byte {
	if isDecimal(bytes.TrimFunc(behindMarks(text), invisible)) {
		return nil
	}
	var out []byte
	done := 0 // of text that is in out
	for at := 0; at <= len(text); {
		line := firstLine(text[at:])
		if beginsFormula(text[at:], line, at == 0) {
			out = append(append(out, text[done:at]...), '\'')
			done = at
		}
		for start, end := nextPiece(line, 0); start >= 0; start, end = nextPiece(line, end) {
			if isFormulaPiece(behindMarks(line[start:end])) {
				out = append(append(out, text[done:at+start]...), '\'')
				done = at + start
			}
		}
		at += len(line) + 1
	}
	if out == nil {
		return nil
	}
	return append(out, text[done:]...)
}

// guardOnce is guardText for the text of a file of millrace's own: what is guarded stays as it is, and what was added to
// the file since is guarded.
func guardOnce(text []byte) []byte {
	plain := unguard(text)
	guarded := guardText(plain)
	if guarded == nil {
		guarded = plain
	}
	if bytes.Equal(guarded, text) {
		return nil
	}
	return guarded
}

// behindMarks is a text without the apostrophes that it begins with.
func behindMarks(text []byte) []byte { return bytes.TrimLeft(text, "'") }

// firstLine is the first line of a text, without its end.
func firstLine(text []byte) []byte {
	if n := bytes.IndexAny(text, "\r\n"); n >= 0 {
		return text[:n]
	}
	return text
}

// beginsFormula says whether the line that rest begins with is a formula behind its apostrophes: a line of a cell, or the
// first, which a break or a tab makes one too.
func beginsFormula(rest, line []byte, first bool) bool {
	formula := behindMarks(line)
	return isFormula(formula) || first && bytes.IndexAny(rest[len(line)-len(formula):], "\t\r\n") == 0
}

func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, b := range text {
		if b == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}

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
