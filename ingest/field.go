package ingest

import "bytes"

// One row or one cell at a time, without hurry: for headers, rejects and cells that the kernels leave over.

// firstRowEnd finds the first line feed outside quotes, or -1. The text starts at a row start.
func firstRowEnd(text []byte) int {
	var search rowEndSearch
	return search.next(text)
}

// rowEndSearch goes on where it stopped when there is more of the same text.
type rowEndSearch struct {
	at, quotes int
}

func (s *rowEndSearch) next(text []byte) int {
	for s.at < len(text) {
		n := bytes.IndexByte(text[s.at:], '\n')
		line := text[s.at:]
		if n >= 0 {
			line = line[:n]
		}
		s.quotes += bytes.Count(line, []byte{'"'})
		s.at += len(line)
		if n >= 0 && s.quotes%2 == 0 {
			return s.at
		}
		if n >= 0 {
			s.at++
		}
	}
	return -1
}

// cutField splits the first cell off a row with sound quotes. The rest is nil when it was the last one.
func cutField(row []byte, delimiter byte) (cell, rest []byte) {
	at := 0
	if len(row) > 0 && row[0] == '"' {
		at = closingQuote(row)
	}
	n := bytes.IndexByte(row[at:], delimiter)
	if n < 0 {
		return row, nil
	}
	return row[:at+n], row[at+n+1 : len(row) : len(row)]
}

// closingQuote finds the quote that ends a quoted cell; len(row) if it is missing.
func closingQuote(row []byte) int {
	for at := 1; at < len(row); at++ {
		if row[at] != '"' {
			continue
		}
		if at+1 == len(row) || row[at+1] != '"' {
			return at
		}
		at++
	}
	return len(row)
}

// unquote returns the text of a cell with sound quotes: a part of the cell, or, if quotes are doubled, of scratch.
func unquote(cell, scratch []byte) []byte {
	if len(cell) < 2 || cell[0] != '"' {
		return cell
	}
	cell = cell[1 : len(cell)-1]
	if bytes.IndexByte(cell, '"') < 0 {
		return cell
	}
	text := scratch[:0]
	for at := 0; at < len(cell); at++ {
		text = append(text, cell[at])
		if cell[at] == '"' {
			at++
		}
	}
	return text
}

// appendField writes a cell, quoted if it needs to be.
func appendField(dst []byte, text string, delimiter byte) []byte {
	plain := true
	for at := range len(text) {
		b := text[at]
		plain = plain && b != '"' && b != delimiter && b != '\n' && b != '\r'
	}
	if plain {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for at := range len(text) {
		if text[at] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, text[at])
	}
	return append(dst, '"')
}

// trimCR takes off the carriage return of a line end whose line feed is already gone.
func trimCR(line []byte) []byte {
	return bytes.TrimSuffix(line, []byte{'\r'})
}
