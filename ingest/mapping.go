package ingest

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
)

// Mapping says which field of a file each column of a schema is.
type Mapping struct {
	Schema Schema
	Header Header
	// Fields has one entry a schema column: the place of its field in the header, from 0, or -1 if the file has none.
	Fields []int
	// Former are the fields, ascending, that an earlier result or rejects file of millrace added. They are no input: drop
	// them from what is written, with [Mapping.AppendRow].
	Former []int
	// Renamed are the customer's own columns with names of those that millrace adds: what is written has them renamed.
	Renamed []RenamedColumn
	// Guard makes what is written of the file safe to open in a spreadsheet: see formula_guard.go. Rows that need it are then
	// listed in [Batch].Formulas.
	Guard bool
	// Numbers is how the file writes numbers; see [Mapping.DecideNumbers].
	Numbers NumberStyle
}

// Map finds the columns of a schema in a header. Names are compared without case, spaces, underscores and hyphens. A
// column's own name wins over its aliases, an earlier alias over a later one. What the schema does not know passes
// through unread.
//
// The error is [*MissingColumnsError] or [*DuplicateColumnError]; duplicates among unread columns are no error.
func Map(s Schema, h Header) (Mapping, error) {
	m := Mapping{Schema: s, Header: h, Fields: make([]int, len(s.Columns))}
	m.Former, m.Renamed = ownColumns(h.Names)
	fields := make(map[string][]int, len(h.Names))
	for field, name := range h.Names {
		if len(m.Former) > 0 {
			name = string(unguard([]byte(name)))
		}
		fields[fold(name)] = append(fields[fold(name)], field)
	}
	taken := make(map[int]bool)
	for i, column := range s.Columns {
		m.Fields[i] = -1
		if err := m.take(i, fields[fold(column.Name)], taken); err != nil {
			return Mapping{}, err
		}
	}
	for i, column := range s.Columns {
		for _, alias := range column.Aliases {
			if m.Fields[i] >= 0 {
				break
			}
			if err := m.take(i, without(fields[fold(alias)], taken), taken); err != nil {
				return Mapping{}, err
			}
		}
	}
	return m, m.missing(taken)
}

// take gives a schema column the one field that has its name.
func (m *Mapping) take(column int, fields []int, taken map[int]bool) error {
	if len(fields) == 0 {
		return nil
	}
	if len(fields) > 1 {
		return &DuplicateColumnError{Name: m.Schema.Columns[column].Name, Fields: [2]int(fields[:2])}
	}
	m.Fields[column] = fields[0]
	taken[fields[0]] = true
	return nil
}

func without(fields []int, taken map[int]bool) []int {
	return slices.DeleteFunc(slices.Clone(fields), func(field int) bool { return taken[field] })
}

// Unused names the fields that no column of the schema is, in the order of the header. Fields without a name, and those
// that an earlier result of millrace added, are not among them.
func (m *Mapping) Unused() []string {
	unused := []string{}
	for field, name := range m.Header.Names {
		name = strings.TrimSpace(name)
		if name != "" && !slices.Contains(m.Fields, field) && !slices.Contains(m.Former, field) {
			unused = append(unused, name)
		}
	}
	return unused
}

func (m *Mapping) missing(taken map[int]bool) error {
	var missing []MissingColumn
	for i, column := range m.Schema.Columns {
		if column.Required && m.Fields[i] < 0 {
			missing = append(missing, MissingColumn{
				Name: column.Name, Label: column.Label, Closest: m.closest(column, taken),
			})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &MissingColumnsError{Columns: missing}
}

// closest finds the unread header name that looks most like one of a column's names.
func (m *Mapping) closest(column Column, taken map[int]bool) string {
	best, least := "", 0
	for _, wanted := range append([]string{column.Name}, column.Aliases...) {
		wanted = fold(wanted)
		for field, name := range m.Header.Names {
			folded := fold(name)
			// More than half of the letters different is no likeness.
			allowed := max(len(wanted), len(folded)) / 2
			if taken[field] || folded == "" || len(folded) > 4*len(wanted) {
				continue
			}
			if d := distance(wanted, folded); d <= allowed && (best == "" || d < least) {
				best, least = strings.TrimSpace(name), d
			}
		}
	}
	return best
}

// fold makes names comparable.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// distance counts the insertions, removals and changes of a byte that turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// AppendRow writes a row's bytes as they stand, without former fields and without a line end. If there are none it
// copies the row.
func (m Mapping) AppendRow(dst, row []byte) []byte {
	if len(m.Former) == 0 {
		return append(dst, row...)
	}
	former := m.Former
	written := false
	for field := 0; field == 0 || row != nil; field++ {
		var cell []byte
		cell, row = cutField(row, m.Header.Delimiter)
		if len(former) > 0 && former[0] == field {
			former = former[1:]
			continue
		}
		if written {
			dst = append(dst, m.Header.Delimiter)
		}
		dst = append(dst, cell...)
		written = true
	}
	return dst
}

// Cell returns the text of a row's field, unquoted and without blanks around it; empty if the row has no such field.
func (m Mapping) Cell(row []byte, field int) string {
	for at := 0; at == 0 || row != nil; at++ {
		var cell []byte
		if cell, row = cutField(row, m.Header.Delimiter); at == field {
			return string(bytes.TrimSpace(unquote(cell, nil)))
		}
	}
	return ""
}
