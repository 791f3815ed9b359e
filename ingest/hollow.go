package ingest

import "bytes"

// A row of nothing but delimiters, which spreadsheets leave behind their tables, is no customer. It counts as a blank
// line: it has no number, and is neither scored nor rejected, but it is counted apart.

// isHollow says whether a row, without its line end, begins with a delimiter and has nothing else but spaces.
func isHollow(row []byte, delimiter byte) bool {
	if len(row) == 0 || row[0] != delimiter {
		return false
	}
	for _, b := range row {
		if b != delimiter && b != ' ' {
			return false
		}
	}
	return true
}

// hollowRows counts them in text of whole rows.
func hollowRows(text []byte, delimiter byte) (n int64) {
	quoted := bytes.IndexByte(text, '"') >= 0
	q := quoting{delimiter: delimiter}
	for len(text) > 0 {
		end := bytes.IndexByte(text, '\n')
		if quoted {
			end = q.rowEnd(text, 0)
		}
		row := text
		if end >= 0 {
			row, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		if isHollow(trimCR(row), delimiter) {
			n++
		}
	}
	return n
}
