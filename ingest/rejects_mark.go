package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A row with the wrong number of fields, or with a quote in the wrong place, must be given a form that it did not have to
// stand in a rejects file. So that it does not come back as a good row that the customer did not write, the cell in question begins with
// a mark, such as [ERR-1601]; a file of millrace's own with such a cell has the row rejected again. A missing field is
// nothing but the mark, and surplus ones follow it in the customer's last cell.

// markedReasons are those whose rows are marked.
var markedReasons = []Reason{WrongFieldCount, BrokenQuotes}

func isMarked(reason Reason) bool { return slices.Contains(markedReasons, reason) }

func mark(reason Reason) string { return "[" + reason.Code() + "]" }

// markedText ends a sentence about a row that is marked.
func markedText(reason Reason) string { return " (marked " + mark(reason) + " in a rejects file)." }

// markOf finds the mark that a cell begins with, if it does.
func markOf(text []byte) (Reason, bool) {
	text = bytes.TrimLeft(text, " '")
	for _, reason := range markedReasons {
		if bytes.HasPrefix(text, []byte(mark(reason))) {
			return reason, true
		}
	}
	return 0, false
}

// marked gives a row as many fields as the header has, and sound quotes, and marks what is wrong with it, unless a mark
// is there.
func (m Mapping) marked(row []byte, reason Reason) []byte {
	cells, bad := looseCells(row, m.Header.Delimiter)
	if slices.ContainsFunc(cells, func(cell string) bool { _, is := markOf([]byte(cell)); return is }) &&
		len(cells) == len(m.Header.Names) {
		return row
	}
	last := len(m.Header.Names) - 1
	for last > 0 && slices.Contains(m.Former, last) {
		last--
	}
	switch found := len(cells); {
	case found > len(m.Header.Names):
		surplus := strings.Join(cells[last:], string(m.Header.Delimiter))
		cells, bad = append(cells[:last:last], surplus), last
	case found < len(m.Header.Names) && found <= last:
		for len(cells) <= last {
			cells = append(cells, mark(reason))
		}
		bad = -1
	case reason == WrongFieldCount:
		bad = last
	}
	if bad >= 0 && bad < len(cells) {
		cells[bad] = mark(reason) + " " + cells[bad]
	}
	var out []byte
	for field := range m.Header.Names {
		if field > 0 {
			out = append(out, m.Header.Delimiter)
		}
		if field < len(cells) {
			out = appendField(out, cells[field], m.Header.Delimiter)
		}
	}
	return out
}

// looseCells reads the cells of a row whatever its quotes, and says in which its quoting breaks: -1 if it does not.
func looseCells(row []byte, delimiter byte) (cells []string, bad int) {
	bad = -1
	for first := true; first || row != nil; first = false {
		cell, rest, sound := looseCell(row, delimiter)
		if !sound && bad < 0 {
			bad = len(cells)
		}
		cells, row = append(cells, cell), rest
	}
	return cells, bad
}

// looseCell splits the first cell off a row. If its quotes are not sound they are letters like others.
func looseCell(row []byte, delimiter byte) (cell string, rest []byte, sound bool) {
	if len(row) > 0 && row[0] == '"' {
		end := closingQuote(row) + 1
		if end == len(row) {
			return string(unquote(row, nil)), nil, true
		}
		if end < len(row) && row[end] == delimiter {
			return string(unquote(row[:end], nil)), row[end+1:], true
		}
	}
	text, rest, more := bytes.Cut(row, []byte{delimiter})
	if !more {
		rest = nil
	}
	return string(text), rest, bytes.IndexByte(text, '"') < 0
}

// marks says whether a row of a rejects file is as it was when it was rejected, and sets the reason then.
func (c *Converter) marks(r *Reject, row []byte) bool {
	c.uncorrected(r, row)
	return r.Reason != 0
}

// uncorrected sets the reason of a row that is as it was.
func (c *Converter) uncorrected(r *Reject, row []byte) {
	m := &c.mapping
	var code, reason, last string
	rest := row
	for field, name := range m.Header.Names {
		var cell []byte
		cell, rest = cutField(rest, c.window.delimiter)
		text := unquote(cell, nil)
		switch {
		case field == c.codeField:
			code = strings.TrimSpace(string(text))
		case field == c.reasonField:
			reason = string(text)
		case slices.Contains(m.Former, field):
		default:
			last = string(text)
			if found, is := markOf(text); is {
				r.Reason, r.Column = found, name
				r.Expected = "a corrected row, but the cell of column '" + name + "' still begins with " + mark(found)
				return
			}
		}
	}
	if code == WrongFieldCount.Code() && c.asBefore(reason, last) {
		r.Reason = WrongFieldCount
		r.Expected = "a corrected row, but it is as it was rejected; empty its " + rejectCode + " cell if that is right"
	}
}

// asBefore says of a row that was rejected without a mark, as they once were, whether the customer's last cell is what
// was made of surplus or missing fields.
func (c *Converter) asBefore(reason, last string) bool {
	var wanted, found int
	_, err := fmt.Sscanf(reason, "Expected %d fields, but the row has %d.", &wanted, &found)
	if err != nil || strings.TrimSpace(reason) != "Expected "+fieldsText(wanted, found)+"." {
		return false
	}
	if found < wanted {
		return strings.TrimSpace(last) == ""
	}
	return countFields([]byte(last), c.window.delimiter) == found-wanted+1
}

func countFields(row []byte, delimiter byte) (n int) {
	for n == 0 || row != nil {
		_, row = cutField(row, delimiter)
		n++
	}
	return n
}

// fieldsText words a number of fields.
func fieldsText(wanted, found int) string {
	return strconv.Itoa(wanted) + " fields, but the row has " + strconv.Itoa(found)
}
