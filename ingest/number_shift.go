package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// A comma inside a number that is not quoted makes two cells of one. Most such rows have a field too many and are
// rejected. But where a row leaves out its last cells it keeps the right width, and every cell behind the comma is taken
// for another column's. One row alone cannot show that; many can, if joining the same two cells again makes all of them
// fit what the model was trained on.

// ShiftedRowsError says that many rows fit only if two of their cells are one number with a comma.
type ShiftedRowsError struct {
	Line   int64  // of the first such row
	Column string // the file's name of the column in which the comma stands
	Cell   string // text of the customer's: not for logs
	Rows   int64  // of those looked at
}

// Error implements error. It leaves out the cell.
func (e *ShiftedRowsError) Error() string {
	return fmt.Sprintf("%d rows, the first on line %d, are shifted by a comma inside a number", e.Rows, e.Line)
}

const (
	// shiftSmall is a text so small that all its rows are looked at.
	shiftSmall = 16 << 10
	// shiftRows is how many rows of a larger one are.
	shiftRows = 1000
	// shiftLeast is how many rows must fit better, and shiftShare the share of rows, one in so many. Where all rows fit,
	// shiftAll are enough, and one with a zero in front.
	shiftLeast, shiftShare, shiftAll = 3, 5, 2
	// shiftOutside is the share of a column, one in so many, that must be unlike training for a look at a large text.
	shiftOutside = 20
	// joinsMax is how many commas of a row are looked for.
	joinsMax = 2
)

// shifted says whether a closer look at the rows is worth its time: a small text, or a column many of whose numbers are
// unlike those of training.
func (p *probe) shifted() bool {
	if p.converter.window.delimiter != ',' {
		return false
	}
	for _, c := range p.columns {
		if c.outside >= shiftLeast && c.outside*shiftOutside >= c.cells {
			return true
		}
	}
	return len(p.chunk.Bytes) <= shiftSmall
}

// shiftFinder looks for the cells that must be joined.
type shiftFinder struct {
	columns []cells // one a field of the file; nil: not read
	joins   map[join]*shiftCount
	rows    int64
}

// join is the fields, from 0, behind which a comma belongs to the number; -1: none.
type join [joinsMax]int

// shiftCount counts the rows that a join makes fit.
type shiftCount struct {
	fit   int64 // rows that fit when joined
	mends int64 // those that do not fit as they are
	zeros int64 // those of them whose second cell begins with a zero, as only digits behind a decimal sign do
	line  int64 // of the first of these
	cell  string
}

func (m Mapping) findShift(text []byte) error {
	f := &shiftFinder{columns: make([]cells, len(m.Header.Names)), joins: map[join]*shiftCount{}}
	for i, field := range m.Fields {
		if field < 0 {
			continue
		}
		if schema := &m.Schema.Columns[i]; schema.Kind == Category {
			f.columns[field] = readCategories(newColumn(schema, &m.Header, field))
		} else {
			f.columns[field] = newCells(schema, &m, field)
		}
	}
	// Rows that fit as they are matter only if others do not.
	for _, all := range []bool{false, true} {
		f.rows = 0
		clear(f.joins)
		f.lookAll(text, m.Header.Lines, all)
		if len(f.joins) == 0 {
			return nil
		}
	}
	return f.verdict(&m.Header)
}

func (f *shiftFinder) lookAll(text []byte, line int64, all bool) {
	for len(text) > 0 && f.rows < shiftRows {
		line++
		row, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		f.look(trimCR(row), line, all)
	}
}

// look takes in a row of the right width without quotes; all says whether one that fits is of interest.
func (f *shiftFinder) look(row []byte, line int64, all bool) {
	if bytes.IndexByte(row, '"') >= 0 || bytes.Count(row, []byte{','})+1 != len(f.columns) {
		return
	}
	f.rows++
	fields := bytes.Split(row, []byte{','})
	fits := f.fits(fields)
	if fits && !all {
		return
	}
	f.try(fields, join{-1, -1}, 0, func(j join) {
		found := f.joins[j]
		if found == nil {
			found = new(shiftCount)
			f.joins[j] = found
		}
		found.fit++
		if fits {
			return
		}
		if after := fields[j[0]+1]; len(after) > 1 && after[0] == '0' {
			found.zeros++
		}
		if found.mends++; found.mends == 1 {
			found.line, found.cell = line, string(fields[j[0]])+","+string(fields[j[0]+1])
		}
	})
}

// try joins every two cells that may be one number, up to joinsMax times, and calls found for what fits then.
func (f *shiftFinder) try(fields [][]byte, j join, depth int, found func(join)) {
	from := 0
	if depth > 0 {
		from = j[depth-1] + 1
	}
	for at := from; at+1 < len(fields)-depth; at++ {
		number := f.number(at, fields[at], fields[at+1])
		if number == nil {
			continue
		}
		next := append(append(append([][]byte{}, fields[:at]...), number), fields[at+2:]...)
		next = append(next, nil)
		j := j
		j[depth] = at
		if f.fits(next) {
			found(j)
		} else if depth+1 < joinsMax {
			f.try(next, j, depth+1, found)
		}
	}
}

// number joins two cells of digits, if their field may have the number: as a decimal, or as thousands if only that is
// one.
func (f *shiftFinder) number(field int, whole, fraction []byte) []byte {
	digitsOnly := func(cell []byte) bool { return len(cell) > 0 && digits(cell) == len(cell) }
	if !digitsOnly(whole) || !digitsOnly(fraction) || len(fraction) > 3 {
		return nil
	}
	column, _ := f.columns[field].(*numbers)
	if column == nil && f.columns[field] != nil {
		return nil
	}
	decimal := fmt.Appendf(nil, "%s.%s", whole, fraction)
	thousands := fmt.Appendf(nil, "%s%s", whole, fraction)
	if len(fraction) == 3 && len(whole) <= 3 && (column == nil || !column.fits(decimal)) {
		return thousands
	}
	return decimal
}

// fits says whether every cell is one that training knew.
func (f *shiftFinder) fits(fields [][]byte) bool {
	for i, cell := range fields {
		switch c := f.columns[i].(type) {
		case *numbers:
			if !c.fits(cell) {
				return false
			}
		case *categories:
			if _, set, _ := c.evaluate(cell); set&isUnknown != 0 || set&isMissing != 0 && c.schema.Required {
				return false
			}
		case *texts:
			if _, set, _ := c.evaluate(cell); set&isMissing != 0 {
				return false
			}
		}
	}
	return true
}

// fits says whether a number is within the training range and written without a zero in front, which only the digits
// behind a decimal sign have.
func (n *numbers) fits(cell []byte) bool {
	text := bytes.TrimSpace(cell)
	if n.words.mean(text) {
		return !n.schema.Required
	}
	if !isDecimal(text) || len(text) > 1 && text[0] == '0' && text[1] != '.' {
		return false
	}
	value, err := strconv.ParseFloat(string(text), 64)
	return err == nil && value >= n.low && value <= n.high
}

// verdict is a [*ShiftedRowsError] if one way to join mends enough rows, and most of those that it fits.
func (f *shiftFinder) verdict(h *Header) error {
	var worst *shiftCount
	var at join
	for j, found := range f.joins {
		enough := found.mends >= shiftLeast && found.mends*shiftShare >= f.rows && 2*found.mends >= found.fit ||
			found.fit == f.rows && f.rows >= shiftLeast && found.mends+found.zeros >= shiftAll &&
				found.mends*shiftOutside >= f.rows
		if enough && (worst == nil || found.mends > worst.mends ||
			found.mends == worst.mends && slices.Compare(j[:], at[:]) < 0) {
			worst, at = found, j
		}
	}
	if worst == nil {
		return nil
	}
	return fmt.Errorf("decide number style: %w", &ShiftedRowsError{
		Line: worst.line, Column: h.Names[at[0]], Cell: worst.cell, Rows: worst.mends,
	})
}
