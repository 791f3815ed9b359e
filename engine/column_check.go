package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// A column whose values the model cannot use makes every score of the file wrong, and no row shows it. It is looked for
// when the front of a file is read, before anything is stored, and again when all rows are counted.

// ColumnCheck says what becomes of a file that has a useless column: one that is required, or has 5 % of the model's gain,
// and of which more than half is missing, unseen or out of range. A column that the file does not have is none.
type ColumnCheck string

const (
	ColumnCheckOff  ColumnCheck = "off"  // nothing is said about the column as a whole
	ColumnCheckWarn ColumnCheck = "warn" // the remarks begin with it
	ColumnCheckFail ColumnCheck = "fail" // a file of 100 rows and more is refused: [UselessColumnError]
)

// ColumnChecks are the values of a [ColumnCheck].
var ColumnChecks = []string{string(ColumnCheckOff), string(ColumnCheckWarn), string(ColumnCheckFail)}

const (
	columnCheckRowsMin    = 100    // rows below which no column is called useless: half of ten is chance
	columnCheckSampleRows = 10_000 // rows after which the front of a file is judged
	keyColumnGain         = 0.05   // share of the model's gain from which a column is as important as a required one
	uselessShare          = 0.5    // of the rows
	// usuallyMissing is the share of missing values in training from which a column is judged by what training had of it.
	usuallyMissing = 0.25
	examplesMax    = 3
)

// columnUse is what the model wants of a column. It is the same in all tallies of a model.
type columnUse struct {
	Key      bool    `json:"key,omitempty"` // required, or of much gain
	Gain     float64 `json:"gain,omitempty"`
	Expected string  `json:"expected,omitempty"` // in words for the customer
}

// use returns what the model wants of a schema column.
func (b *Bundle) use(column int) columnUse {
	c := &b.schema.Columns[column]
	gain := b.profiles[column].gain
	return columnUse{Key: c.Required || gain >= keyColumnGain, Gain: gain, Expected: expectedOf(c)}
}

// expectedOf words what a column should hold.
func expectedOf(c *ingest.Column) string {
	const most = 5 // categories that are listed
	switch {
	case c.Kind == ingest.Category && len(c.Categories) > most:
		return quotedList(c.Categories[:most]) + fmt.Sprintf(" or one of %d more", len(c.Categories)-most)
	case c.Kind == ingest.Category:
		return quotedList(c.Categories)
	case c.Kind == ingest.Number && c.Min != nil && c.Max != nil:
		return fmt.Sprintf("numbers from %g to %g", *c.Min, *c.Max)
	case c.Kind == ingest.Number:
		return "numbers"
	}
	return "a text"
}

func quotedList(texts []string) string { return "'" + strings.Join(texts, "', '") + "'" }

// useless counts the rows of which the model cannot use the value of the column.
func (c *ColumnTally) useless() int64 { return c.Missing + c.Unseen + c.Outside }

// isUseless reports whether the column is one of importance that is of no use in most of the scored rows.
func (c *ColumnTally) isUseless(scored int64) bool {
	limit := uselessShare
	if c.Training != nil && c.Training.Missing >= usuallyMissing {
		limit = (1 + c.Training.Missing) / 2 // half of the values that training had are missing too
	}
	return c.Key && !c.Absent && scored > 0 && float64(c.useless()) > limit*float64(scored)
}

// uselessColumns lists the columns that are of no use, the most important first. Fewer rows than 100 show none.
func (t *Tally) uselessColumns() []*ColumnTally {
	var list []*ColumnTally
	for i := range t.Columns {
		if t.Scored >= columnCheckRowsMin && t.Columns[i].isUseless(t.Scored) {
			list = append(list, &t.Columns[i])
		}
	}
	slices.SortStableFunc(list, func(a, b *ColumnTally) int { return cmp.Compare(b.Gain, a.Gain) })
	return list
}

// CheckColumns returns an [*UselessColumnError] if the file has a useless column and check is [ColumnCheckFail]. t must be
// the tally of a whole file.
func (t *Tally) CheckColumns(check ColumnCheck) error {
	if list := t.uselessColumns(); check == ColumnCheckFail && len(list) > 0 {
		return newUselessColumnError(list, t.Scored, true)
	}
	return nil
}

// UselessColumnError reports that a file has a column of importance whose values the model cannot use.
type UselessColumnError struct {
	Column                   string
	Missing, Unseen, Outside int64    // rows
	Of                       int64    // scored rows, or those of the front that would be scored
	Whole                    bool     // all rows of the file were counted
	Values                   []string // up to three that are unseen or out of range: not for logs
	Expected                 string   // what the model expects, in words for the customer
	Others                   []string // names of further useless columns
}

func newUselessColumnError(list []*ColumnTally, of int64, whole bool) *UselessColumnError {
	c := list[0]
	e := &UselessColumnError{
		Column: c.Name, Missing: c.Missing, Unseen: c.Unseen, Outside: c.Outside, Of: of, Whole: whole,
		Values: c.Values, Expected: c.Expected,
	}
	for _, other := range list[1:] {
		e.Others = append(e.Others, other.Name)
	}
	return e
}

// Rows returns the number of rows of which the value cannot be used.
func (e *UselessColumnError) Rows() int64 { return e.Missing + e.Unseen + e.Outside }

// Share returns the percentage of these rows, rounded to a whole number, but never to 100 if there are others.
func (e *UselessColumnError) Share() string { return sharePercent(e.Rows(), e.Of) }

// Problem says what the values are: "missing or not known to the model".
func (e *UselessColumnError) Problem() string { return problemText(e.Missing, e.Unseen, e.Outside) }

// Error implements error. It leaves out the values.
func (e *UselessColumnError) Error() string {
	return fmt.Sprintf("column %q: %d of %d rows are %s", e.Column, e.Rows(), e.Of, e.Problem())
}

// problemText words what values are that the model cannot use.
func problemText(missing, unseen, outside int64) string {
	var kinds []string
	if unseen > 0 {
		kinds = append(kinds, "not known to the model")
	}
	if outside > 0 {
		kinds = append(kinds, "outside the range of training")
	}
	if missing > 0 {
		kinds = append(kinds, "missing")
	}
	return strings.Join(kinds, " or ")
}

// sharePercent formats a share: "100 %" is all, "under 1 %" is some.
func sharePercent(part, of int64) string {
	share := 100 * shareOf(part, of)
	switch {
	case part < of && share > 99:
		return "over 99 %"
	case part > 0 && share < 1:
		return "under 1 %"
	}
	return fmt.Sprintf("%.0f %%", share)
}

// CheckColumns judges the columns by the front of the file that [Input.DecideNumbers] has read: 10,000 rows, or a megabyte.
// It returns an [*UselessColumnError] as [Tally.CheckColumns] does, and drops the front.
func (in *Input) CheckColumns(b *Bundle, check ColumnCheck) error {
	sample := in.sample
	in.sample = ingest.Sample{}
	return b.CheckSample(in.Header, sample, in.Numbers, check)
}

// CheckSample judges the columns by the front of a file with the given header and number style. It returns an
// [*UselessColumnError] as [Tally.CheckColumns] does. What else is wrong with the rows is no error here.
func (b *Bundle) CheckSample(h ingest.Header, s ingest.Sample, style ingest.NumberStyle, check ColumnCheck) error {
	if check != ColumnCheckFail {
		return nil
	}
	m, err := ingest.Map(b.Schema(), h)
	if err != nil {
		return err
	}
	m.Numbers = style
	limits := ingest.Limits{ChunkBytes: sampleChunkBytes}
	v := newValidator(b, m, limits, func(ingest.Chunk, ingest.Reject) {})
	chunker := ingest.NewChunker(bytes.NewReader(s.Rows(h.Delimiter)), h.Delimiter, h.Start(), limits)
	total, part := Tally{Columns: b.newColumnTallies()}, Tally{Columns: b.newColumnTallies()}
	for buf := []byte(nil); total.Rows < columnCheckSampleRows; {
		chunk, err := chunker.Next(buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = v.read(&part, chunk)
		}
		if err != nil {
			return nil // scoring comes to it and says so
		}
		total.Add(&part)
		buf = chunk.Bytes[:0]
	}
	if list := total.uselessColumns(); len(list) > 0 {
		return newUselessColumnError(list, total.Scored, s.Whole())
	}
	return nil
}

// sampleChunkBytes is how exactly the front of a file ends behind 10,000 rows.
const sampleChunkBytes = 128 << 10

// addExamples adds to the columns of a batch values that are unseen or out of range. It looks at few rows, as a column may
// have the same value in all.
func (b *Bundle) addExamples(columns []ColumnTally, batch *ingest.Batch, chunk ingest.Chunk, m ingest.Mapping) {
	for i := range columns {
		c := &columns[i]
		if c.Unseen+c.Outside == 0 {
			continue
		}
		schema := &b.schema.Columns[i]
		var is func(row int) bool
		switch cells := batch.Record.Column(firstSchemaColumn + i).(type) {
		case *array.Float64:
			values := cells.Float64Values()
			is = func(row int) bool {
				return schema.Min != nil && values[row] < *schema.Min || schema.Max != nil && values[row] > *schema.Max
			}
		case *array.Dictionary:
			codes, unseen := cells.Indices().(*array.Uint16).Uint16Values(), uint16(len(schema.Categories)+1)
			is = func(row int) bool { return codes[row] == unseen }
		default:
			continue
		}
		c.Values = appendExamples(c.Values, batch, chunk, m, m.Fields[i], is)
	}
}

// exampleRowsMax is how many rows of a chunk are looked at for values that differ.
const exampleRowsMax = 32

func appendExamples(
	values []string, batch *ingest.Batch, chunk ingest.Chunk, m ingest.Mapping, field int, is func(row int) bool,
) []string {
	starts := batch.Record.Column(1).(*array.Int32).Int32Values()
	lengths := batch.Record.Column(2).(*array.Int32).Int32Values()
	looked := 0
	for row := range starts {
		if !is(row) {
			continue
		}
		values = addExample(values, m.Cell(chunk.Bytes[starts[row]:starts[row]+lengths[row]], field))
		if looked++; looked == exampleRowsMax || len(values) == examplesMax {
			break
		}
	}
	return values
}

// addExample adds a value to a list of examples, unless the list is full or has it.
func addExample(values []string, value string) []string {
	const longest = 40 // bytes
	if len(values) >= examplesMax {
		return values
	}
	if len(value) > longest {
		value = strings.ToValidUTF8(value[:longest], "") + "…"
	}
	value = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, value)
	if slices.Contains(values, value) {
		return values
	}
	return append(values, value)
}
