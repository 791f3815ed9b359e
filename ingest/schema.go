// Package ingest turns CSV bytes into Arrow record batches. It takes an io.Reader and opens nothing.
//
// The path of a byte: [Header] names the columns, a [Chunker] cuts the stream at row ends, a [Converter] turns one
// chunk into one [Batch] and accounts for every row in it.
package ingest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Kind is what the cells of a column mean.
type Kind uint8

const (
	// Number is a decimal number, kept as float64; missing is NaN and null.
	Number Kind = iota
	// Category is one of a list of texts, kept as its position in that list.
	Category
	// Text is kept as it is: the customer id.
	Text
)

// Schema is what a model wants to read from a file.
type Schema struct {
	Columns []Column
}

// categoriesMax is how many categories a column can have: codes are uint16, and two of them mean missing and unknown.
const categoriesMax = 1<<16 - 2

// Column is one column that a model reads.
type Column struct {
	Name     string
	Label    string   // what people call it, for messages; empty: nothing but its name
	Aliases  []string // other header names, compared like Name: case, spaces and underscores do not count
	Kind     Kind
	Required bool // the header must have it
	NotEmpty bool // a row whose cell is missing is rejected (1604)
	// Categories are the texts of a Category column; the position is the code.
	Categories []string
	// Spellings maps other texts to one of Categories ("yes" to "Yes").
	Spellings map[string]string
	// MissingWords are the texts, after trimming, that mean "no value". The empty text always does.
	MissingWords []string
	// Min and Max bound the numbers seen in training; a number outside is a warning (1651). Nil is open.
	Min, Max *float64
	// AllowedMin and AllowedMax bound the numbers that may be scored; a row outside is rejected (1610). Nil is open.
	AllowedMin, AllowedMax *float64
	// RefuseUnknown rejects a row whose category is not known (1611) instead of warning (1653).
	RefuseUnknown bool
}

// Validate says what is wrong with a schema. A [Converter] takes only valid ones.
func (s Schema) Validate() error {
	names := make(map[string]bool, len(s.Columns))
	for _, column := range s.Columns {
		folded := fold(column.Name)
		if folded == "" {
			return errors.New("check schema: column without a name")
		}
		if names[folded] {
			return fmt.Errorf("check schema: column %q stands there twice", column.Name)
		}
		names[folded] = true
		if err := column.validate(); err != nil {
			return fmt.Errorf("check schema: column %q: %w", column.Name, err)
		}
	}
	return nil
}

func (c *Column) validate() error {
	if c.Kind > Text {
		return fmt.Errorf("unknown kind %d", c.Kind)
	}
	if c.Kind == Category && len(c.Categories) == 0 || len(c.Categories) > categoriesMax {
		return fmt.Errorf("%d categories, want 1 to %d", len(c.Categories), categoriesMax)
	}
	seen := make(map[string]bool, len(c.Categories))
	for i, text := range c.Categories {
		if text == "" || seen[text] || strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			return fmt.Errorf("category %d is empty, not text, or there twice", i)
		}
		seen[text] = true
	}
	for _, text := range c.Spellings {
		if !seen[text] {
			return fmt.Errorf("spelling of %q, which is no category", text)
		}
	}
	if !ordered(c.Min, c.Max) || !ordered(c.AllowedMin, c.AllowedMax) {
		return errors.New("bounds are not in order")
	}
	return nil
}

// ordered says whether bounds are numbers and leave room between them.
func ordered(low, high *float64) bool {
	if low != nil && math.IsNaN(*low) || high != nil && math.IsNaN(*high) {
		return false
	}
	return low == nil || high == nil || *low <= *high
}
