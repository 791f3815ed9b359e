package ingest

import (
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
// again, because [Map] knows its additional columns. A row that cannot be written as it stood has its fault marked: see
// rejects_mark.go.

// Code is the published number of a reason.
func (r Reason) Code() string {
	return fmt.Sprintf("ERR-%d", 1600+int(r))
}

// Sentence says to the customer what is wrong, without the values: a sentence for each reason.
func (r Reject) Sentence() string {
	text := Cause{r.Reason, r.Column, r.Expected}.Sentence()
	for _, more := range r.More {
		text += " " + more.Sentence()
	}
	return text
}

// Sentence says to the customer what is wrong, without the value.
func (r Cause) Sentence() string {
	switch r.Reason {
	case WrongFieldCount, BrokenQuotes:
		if r.Column == "" {
			return "Expected " + r.Expected + markedText(r.Reason)
		}
		return "The value in column '" + r.Column + "' cannot be used. Expected " + r.Expected + markedText(r.Reason)
	case RequiredEmpty:
		return "Column '" + r.Column + "' is empty, but needs a value."
	case TotalRow:
		return "The row is a total of others and no customer, as column '" + r.Column + "' says: it lacks what customers have."
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
	if isMarked(r.Reason) {
		row = m.marked(row, r.Reason)
	}
	delimiter := m.Header.Delimiter
	column, sentence := r.Column, r.Sentence()
	if m.Guard {
		dst = append(m.AppendGuardedRow(dst, row), delimiter)
		column, sentence = m.guarded(column), m.guarded(sentence)
	} else {
		dst = append(m.AppendRow(dst, row), delimiter)
	}
	dst = append(strconv.AppendInt(dst, r.Row, 10), delimiter)
	dst = append(strconv.AppendInt(dst, r.Line, 10), delimiter)
	dst = append(append(dst, r.Reason.Code()...), delimiter)
	dst = append(appendField(dst, column, delimiter), delimiter)
	return append(appendField(dst, sentence, delimiter), '\n')
}

// guarded guards a text with names of the file's columns, which have the guard already if the file is one of millrace's
// own.
func (m *Mapping) guarded(text string) string {
	guard := guardText
	if len(m.Former) > 0 {
		guard = guardOnce
	}
	if guarded := guard([]byte(text)); guarded != nil {
		return string(guarded)
	}
	return text
}
