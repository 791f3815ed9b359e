package ingest

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CSV injection (formula injection): a spreadsheet takes a cell that begins with = + - or @ for a formula, and runs it on
// the machine that opens the file; | and % begin commands in what some of them still read. The guard puts an apostrophe in
// front of such a cell, and of such a line of a cell, so that it stays text. A program that splits at another separator than the file's makes cells
// of the pieces between separators: they are guarded too. Numbers, and lone signs but =, stay as they are, byte for byte, and
// guarding twice is guarding once. It changes data, so it can be left off: [Mapping].Guard. Our own files are read without
// what it added: see guard_off.go.

// separators are the bytes at which programs split lines into cells.
const separators = ",;\t|"

// formulaLeads are the bytes that the text of a cell must begin with for the guard to look closer: the signs,
// everything that may be trimmed in front of them, and the first bytes of characters beyond ASCII, which may be either.
var formulaLeads = leads()

func leads() (table [256]bool) {
	for b := range table {
		table[b] = b <= ' ' || b >= 0x7f || strings.IndexByte("=+-@|%", byte(b)) >= 0
	}
	return table
}

// isFormula says whether the text of a cell, or one line of it, needs the guard.
func isFormula(text []byte) bool {
	if len(text) == 0 || !formulaLeads[text[0]] {
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

// AppendGuardedRow is [Mapping.AppendRow] with every cell guarded.
func (m Mapping) AppendGuardedRow(dst, row []byte) []byte {
	kept := row
	if len(m.Former) > 0 {
		kept = m.AppendRow(nil, row)
	}
	return appendGuarded(dst, kept, m.Header.Delimiter)
}

// GuardRows guards CSV text of whole rows and says whether that changed anything.
func GuardRows(text []byte, delimiter byte) (guarded []byte, changed bool) {
	for rest := text; len(rest) > 0; {
		end := firstRowEnd(rest)
		if end < 0 {
			end = len(rest)
		}
		row := trimCR(rest[:end])
		guarded = appendGuarded(guarded, row, delimiter)
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
	return appendGuarded(dst, cells, delimiter)
}

func appendGuarded(dst, row []byte, delimiter byte) []byte {
	for first := true; first || row != nil; first = false {
		if !first {
			dst = append(dst, delimiter)
		}
		var cell []byte
		cell, row = cutField(row, delimiter)
		dst = appendGuardedCell(dst, cell, delimiter)
	}
	return dst
}

// appendGuardedCell writes a cell as it stands, unless it needs the guard, or quotes: a spreadsheet may take a
// semicolon or a lone CR for the end of a cell whatever the delimiter of the file is.
func appendGuardedCell(dst, cell []byte, delimiter byte) []byte {
	text := unquote(cell, nil)
	guarded := guardText(text)
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

// guardText gives the guarded text of a cell; nil if it needs no guard.
func guardText(text []byte) []byte {
	if isDecimal(bytes.TrimFunc(text, invisible)) {
		return nil
	}
	var out []byte
	done := 0 // of text that is in out
	for at := 0; at <= len(text); {
		line := text[at:]
		if n := bytes.IndexAny(line, "\r\n"); n >= 0 {
			line = line[:n]
		}
		if at == 0 && bytes.IndexAny(text, "\t\r\n") == 0 || isFormula(line) {
			out = append(append(out, text[done:at]...), '\'')
			done = at
		}
		for start, end := nextPiece(line, 0); start >= 0; start, end = nextPiece(line, end) {
			if isFormulaPiece(line[start:end]) {
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

// formulas appends where in the chunk the window has cells that the guard changes. A window with line ends or
// semicolons inside cells gives the starts of all its rows instead. The positions ascend.
func (w *window) formulas(dst []int32) []int32 {
	text := w.chunk.Bytes[w.start:w.end]
	quoted := bytes.IndexByte(text, '"') >= 0
	if w.breaksInside(text, quoted) {
		for i, before := range w.at[:w.n] {
			if i == 0 || w.endsRow(before) {
				dst = append(dst, int32(before+1))
			}
		}
		return dst
	}
	if w.piecesInside(text, quoted) {
		return w.formulasInPieces(dst)
	}
	for i, before := range w.at[:w.n] {
		start, end := before+1, w.at[i+1]
		lead := w.padded[start]
		if lead == '"' {
			lead = w.padded[start+1]
		}
		if start == end || !formulaLeads[lead] {
			continue
		}
		if isFormula(w.cellText(start, end)) {
			dst = append(dst, int32(start))
		}
	}
	return dst
}

// formulasInPieces is formulas for a window whose cells may have pieces to guard, too.
func (w *window) formulasInPieces(dst []int32) []int32 {
	for i, before := range w.at[:w.n] {
		start, end := before+1, w.at[i+1]
		if start == end {
			continue
		}
		if text := w.cellText(start, end); isFormula(text) || guardText(text) != nil {
			dst = append(dst, int32(start))
		}
	}
	return dst
}

// cellText is the text of the cell between two places of the window, without quotation marks and line end.
func (w *window) cellText(start, end uint32) []byte {
	if w.endsRow(end) {
		end = w.rowEnd(start, end)
	}
	return unquote(w.padded[start:end], nil)
}

// piecesInside says whether cells may have pieces to guard: a separator that may stand inside a cell, and behind it
// something that a formula may begin with. text is the window's, quoted whether it has a quotation mark.
func (w *window) piecesInside(text []byte, quoted bool) bool {
	for _, separator := range []byte(separators) {
		if separator == w.delimiter && !quoted || separator == ';' && w.delimiter != ';' {
			continue // none inside a cell: breaksInside has looked for semicolons
		}
		for rest := text; ; {
			n := bytes.IndexByte(rest, separator)
			if n < 0 {
				break
			}
			rest = rest[n+1:]
			lead := rest
			for len(lead) > 0 && (lead[0] == ' ' || lead[0] == '"') {
				lead = lead[1:]
			}
			if len(lead) > 0 && formulaLeads[lead[0]] && lead[0] != '\n' && lead[0] != '\r' {
				return true
			}
		}
	}
	return false
}

// breaksInside says whether cells may have line ends, or semicolons that do not end them. Its arguments are as those of
// piecesInside.
func (w *window) breaksInside(text []byte, quoted bool) bool {
	if w.delimiter != ';' && bytes.IndexByte(text, ';') >= 0 {
		return true
	}
	if quoted {
		ends := w.facts.rows
		if int(w.at[w.n]) == len(w.chunk.Bytes) {
			ends-- // the virtual one
		}
		if bytes.Count(text, []byte{'\n'}) != ends {
			return true
		}
	}
	if bytes.IndexByte(text, '\r') < 0 {
		return false
	}
	return bytes.Count(text, []byte{'\r'}) != bytes.Count(text, []byte("\r\n"))
}
