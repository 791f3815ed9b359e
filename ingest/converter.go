package ingest

import (
	"cmp"
	"slices"
)

// Converter turns chunks into batches. It owns all scratch and the memory of its last batch: one per worker, not for
// concurrent use.
type Converter struct {
	mapping Mapping
	limits  Limits
	window  window
	all     []cells // one a schema column
	reading []cells // those that the file has, in the order of their fields
	fixed   fixedColumns
	nextRow int64
	rejects []Reject
	remarks []WarningCount
	batch   *batchBuilder
	guard   []int32        // places for the guard
	counts  map[int]string // what a wrong number of fields is answered with
	slots   []int          // scratch: rows to remove
	totals  *totals        // nil: none are looked for
	// Where a rejects file of millrace has the code and the reason of a row; -1 for other files.
	codeField, reasonField int
}

// cells is a column being filled with one kind of cell.
type cells interface {
	// head returns what every kind has.
	head() *column
	// convert appends a run of rows.
	convert(w *window, r run)
	// judge returns the reason for which a cell refuses its row; 0 if there is none.
	judge(cell []byte) Reason
	// remove takes the rows in slots, ascending, out of those that the window appended, and their remarks back.
	remove(w *window, slots []int)
	// reset forgets all rows; missing then stand for a column that the file does not have.
	reset(missing int)
}

// fixedColumns are the columns that every batch has.
type fixedColumns struct {
	rows            []int64
	starts, lengths []int32
}

// NewConverter makes a converter for chunks of the mapping's file.
func NewConverter(m Mapping, limits Limits) *Converter {
	c := &Converter{mapping: m, limits: limits.withDefaults(), counts: map[int]string{}}
	c.codeField, c.reasonField = m.formerField(rejectCode), m.formerField(rejectReason)
	c.window.delimiter, c.window.width = m.Header.Delimiter, len(m.Header.Names)
	for i, field := range m.Fields {
		filled := newCells(&m.Schema.Columns[i], &m, field)
		c.all = append(c.all, filled)
		if field >= 0 {
			c.reading = append(c.reading, filled)
		}
	}
	slices.SortStableFunc(c.reading, func(a, b cells) int { return cmp.Compare(a.head().field, b.head().field) })
	c.totals = newTotals(c.reading)
	c.batch = newBatchBuilder(m.Schema)
	return c
}

// Convert turns a chunk into a batch that is valid until the next Convert. Every row of the chunk is either in the
// batch's record or among its rejects. The error is a [*QuoteError] if quotes break the framing.
func (c *Converter) Convert(chunk Chunk) (Batch, error) {
	c.begin(chunk)
	for at := 0; at < len(chunk.Bytes); at = c.window.end {
		if err := c.window.cut(at); err != nil {
			return Batch{}, err
		}
		if c.mapping.Guard {
			c.guard = c.window.formulas(c.guard)
		}
		c.place()
		for _, column := range c.reading {
			for _, run := range c.window.runs {
				column.convert(&c.window, run)
			}
		}
		c.totals.refuse(&c.window)
		c.settle()
	}
	return c.finish(), nil
}

func (c *Converter) begin(chunk Chunk) {
	c.batch.release()
	if poisoned {
		c.poison()
	}
	c.window.open(chunk)
	c.nextRow = chunk.Row
	c.fixed.rows, c.fixed.starts, c.fixed.lengths = c.fixed.rows[:0], c.fixed.starts[:0], c.fixed.lengths[:0]
	c.rejects, c.remarks, c.guard = c.rejects[:0], c.remarks[:0], c.guard[:0]
	for _, column := range c.all {
		column.reset(0)
	}
}

func (c *Converter) finish() Batch {
	rows := len(c.fixed.rows)
	for _, column := range c.all {
		head := column.head()
		if head.field < 0 {
			column.reset(rows)
			continue
		}
		for i, reason := range remarkReasons {
			if n := head.counts[i]; n > 0 {
				c.remarks = append(c.remarks, WarningCount{Reason: reason, Column: head.schema.Name, Count: n})
			}
		}
	}
	record := c.batch.record(&c.fixed, c.all)
	return Batch{Record: record, Rejects: c.rejects, Warnings: c.remarks, Formulas: c.guard}
}
