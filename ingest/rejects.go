package ingest

import (
	"bytes"
	"fmt"
	"strconv"
)

// Names of the columns that a rejects file has behind the customer's own.
const (
	rejectRow    = "_row"
	rejectLine   = "_line"
	rejectCode   = "_code"
	rejectColumn = "_column"
	rejectReason = "_reason"
)

// A rejects file has the rows of one file that were refused, their cells as they stood, and why. Its rows all have the
// same number of fields, in the delimiter of the file, so that any program opens it; corrected, it can be sent in
// again, because [Map] knows its additional columns. A row with too few fields is filled up, and of one with too many
// the surplus is in the last of the customer's cells.

// Code is the published number of a reason.
func (r Reason) Code() string {
	return fmt.Sprintf("ERR-%d", 1600+int(r))
}

// Sentence says to the customer what is wrong, without the value.
func (r Reject) Sentence() string {
	switch r.Reason {
	case WrongFieldCount:
		return "Expected " + r.Expected + "."
	case RequiredEmpty:
		return "Column '" + r.Column + "' is empty, but needs a value."
	case CategoryRefused:
		return "The value in column '" + r.Column + "' is not known. Expected " + r.Expected + "."
	default:
		return "The value in column '" + r.Column + "' cannot be used. Expected " + r.Expected + "."
	}
}

// AppendRejectHeader writes the header line of a rejects file.
func (m Mapping) AppendRejectHeader(dst []byte) []byte {
	dst = m.AppendHeader(dst)
	for _, name := range []string{rejectRow, rejectLine, rejectCode, rejectColumn, rejectReason} {
		dst = append(append(dst, m.Header.Delimiter), name...)
	}
	return append(dst, '\n')
}

// AppendReject writes one rejected row of a chunk as a line of a rejects file.
func (m Mapping) AppendReject(dst []byte, chunk Chunk, r Reject) []byte {
	row := chunk.Bytes[r.Start : r.Start+r.Length]
	if r.Reason == WrongFieldCount {
		row = m.squared(row)
	}
	delimiter := m.Header.Delimiter
	column := r.Column
	if m.Guard {
		dst = append(m.AppendGuardedRow(dst, row), delimiter)
		if guarded := guardText([]byte(column)); guarded != nil {
			column = string(guarded)
		}
	} else {
		dst = append(m.AppendRow(dst, row), delimiter)
	}
	dst = append(strconv.AppendInt(dst, r.Row, 10), delimiter)
	dst = append(strconv.AppendInt(dst, r.Line, 10), delimiter)
	dst = append(append(dst, r.Reason.Code()...), delimiter)
	dst = append(appendField(dst, column, delimiter), delimiter)
	return append(appendField(dst, r.Sentence(), delimiter), '\n')
}

// squared gives a row as many fields as the header has.
func (m Mapping) squared(row []byte) []byte {
	wanted := len(m.Header.Names)
	var out []byte
	rest := row
	for field := range wanted {
		if field > 0 {
			out = append(out, m.Header.Delimiter)
		}
		var cell []byte
		last := field == wanted-1
		if last && rest != nil && countFields(rest, m.Header.Delimiter) > 1 {
			cell = joined(rest)
		} else if rest != nil {
			cell, rest = cutField(rest, m.Header.Delimiter)
		}
		out = append(out, cell...)
	}
	return out
}

func countFields(row []byte, delimiter byte) (n int) {
	for n == 0 || row != nil {
		_, row = cutField(row, delimiter)
		n++
	}
	return n
}

// joined makes one quoted cell of several as they stand.
func joined(cells []byte) []byte {
	out := []byte{'"'}
	out = append(out, bytes.ReplaceAll(cells, []byte{'"'}, []byte{'"', '"'})...)
	return append(out, '"')
}
