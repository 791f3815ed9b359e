package ingest

import (
	"bytes"
	"fmt"
	"strings"
)

// column is what every kind of column has while it is being filled.
type column struct {
	schema *Column
	name   string // the file's name for it
	field  int    // its place in the file's rows, or -1
	last   bool   // its field ends the row
	words  words  // texts that mean "no value"
	style  NumberStyle
	own    bool // the file is a result or a rejects file: the guard's apostrophes are taken off
	counts [len(remarkReasons)]int64
	// Scratch for cells with doubled quotes.
	scratch []byte
}

// remark is a set of things to say about a cell that is scored nevertheless.
type remark uint8

const (
	isOutside remark = 1 << iota
	isMissing
	isUnknown
	isNormalised
	isLoose
	isWritten
)

// remarkReasons are published in this order; bit i of a remark is reason i.
var remarkReasons = [...]Reason{OutsideTraining, MissingValue, UnknownCategory, Normalised, LooseCategory, WrittenNumber}

func newColumn(schema *Column, header *Header, field int) column {
	c := column{schema: schema, field: field, last: field == len(header.Names)-1, words: newWords(schema.MissingWords)}
	if field >= 0 {
		c.name = header.Names[field]
	}
	return c
}

func newCells(schema *Column, m *Mapping, field int) cells {
	column := newColumn(schema, &m.Header, field)
	column.own = len(m.Former) > 0
	switch schema.Kind {
	case Number:
		return newNumbers(column, m.Numbers)
	case Category:
		return newCategories(column)
	default:
		return &texts{column: column}
	}
}

func (c *column) head() *column { return c }

func (c *column) resetCounts(missing int) {
	c.counts = [len(remarkReasons)]int64{1: int64(missing)}
}

// count adds n for every remark of a set.
func (c *column) count(set remark, n int64) {
	for i := range c.counts {
		c.counts[i] += n * int64(set>>i&1)
	}
}

// nulls is the number of cells without a value.
func (c *column) nulls() int {
	return int(c.counts[1] + c.counts[2])
}

// note takes in what was found out about a cell: its remarks and the reason to refuse its row, if any.
func (c *column) note(w *window, slot int, set remark, reason Reason) {
	c.count(set, 1)
	if reason != 0 {
		reject := Reject{Reason: reason, Column: c.name, Expected: c.expected(reason)}
		w.rejects = append(w.rejects, refused{Reject: reject, slot: slot})
	}
}

// empty is the verdict on a cell without a value.
func (c *column) empty() (remark, Reason) {
	if c.schema.NotEmpty {
		return isMissing, RequiredEmpty
	}
	return isMissing, 0
}

// expected says what should have been there.
func (c *column) expected(reason Reason) string {
	s := c.schema
	switch {
	case reason == NotFinite:
		return "a number that is not infinite"
	case reason == RequiredEmpty:
		return "a value"
	case reason == OutsideAllowed && s.AllowedMax == nil:
		return fmt.Sprintf("a number of at least %g", *s.AllowedMin)
	case reason == OutsideAllowed && s.AllowedMin == nil:
		return fmt.Sprintf("a number of at most %g", *s.AllowedMax)
	case reason == OutsideAllowed:
		return fmt.Sprintf("a number from %g to %g", *s.AllowedMin, *s.AllowedMax)
	case reason == CategoryRefused:
		return oneOf(s.Categories)
	case reason == AgainstStyle:
		return styleSentence + c.style.String() + ", as the others of the file"
	default:
		return "a number such as 12.5"
	}
}

// oneOf lists categories, but not hundreds.
func oneOf(categories []string) string {
	const most = 10
	shown := categories[:min(most, len(categories))]
	text := "one of '" + strings.Join(shown, "', '") + "'"
	if more := len(categories) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// words are the texts that mean "no value".
type words struct {
	set     map[string]struct{}
	longest int
}

func newWords(texts []string) words {
	w := words{set: make(map[string]struct{}, len(texts))}
	for _, text := range texts {
		text = strings.TrimSpace(text)
		w.set[text] = struct{}{}
		w.longest = max(w.longest, len(text))
	}
	return w
}

// mean says whether a trimmed text means "no value".
func (w words) mean(trimmed []byte) bool {
	if len(trimmed) == 0 {
		return true
	}
	if len(trimmed) > w.longest {
		return false
	}
	_, found := w.set[string(trimmed)]
	return found
}

// text unquotes a cell into scratch, and takes off what the guard added to a file of our own.
func (c *column) text(cell []byte) []byte {
	c.scratch = append(c.scratch[:0], unquote(cell, c.scratch)...)
	if c.own {
		c.scratch = loneSign(unguard(c.scratch))
	}
	return c.scratch
}

// trim takes off white space and says whether there was any.
func trim(text []byte) ([]byte, remark) {
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) != len(text) {
		return trimmed, isNormalised
	}
	return text, 0
}

// extend makes room for n more values.
func extend[T any](values []T, n int) []T {
	size := len(values) + n
	if size <= cap(values) {
		return values[:size]
	}
	return append(values, make([]T, n)...)
}
