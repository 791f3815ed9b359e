package engine

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// ColumnTally counts the values of the scored rows in a schema column.
type ColumnTally struct {
	Name    string `json:"name"`
	Absent  bool   `json:"absent,omitempty"` // the file does not have the column
	Missing int64  `json:"missing,omitempty"`
	Unseen  int64  `json:"unseen,omitempty"`  // rows with a category that training did not have
	Outside int64  `json:"outside,omitempty"` // numbers outside the training range
	// Present is true if the number column has a value, First is the first one, and Varies is true if another one
	// differs.
	Present bool    `json:"present,omitempty"`
	First   float64 `json:"first,omitempty"`
	Varies  bool    `json:"varies,omitempty"`
	// Bins counts rows by category, or by range for a number column whose training profile has ranges. The last entry
	// counts missing values and unseen categories, which the model treats alike. Nil: not counted.
	Bins     []int64  `json:"bins,omitempty"`
	Training *Profile `json:"training,omitempty"` // nil if the bundle has no profile of the column
	// Values are up to three of the unseen or unusual values, as they stand in the file: not for logs.
	Values []string `json:"values,omitempty"`
	columnUse
}

func (b *Bundle) newColumnTallies() []ColumnTally {
	columns := make([]ColumnTally, len(b.schema.Columns))
	for i, c := range b.schema.Columns {
		columns[i] = ColumnTally{Name: c.Name, Training: b.profiles[i].training, columnUse: b.use(i)}
		if n := b.profiles[i].bins; n > 0 {
			columns[i].Bins = make([]int64, n)
		}
	}
	return columns
}

func (c *ColumnTally) reset() {
	clear(c.Bins)
	*c = ColumnTally{Name: c.Name, Training: c.Training, Bins: c.Bins, Values: c.Values[:0], columnUse: c.columnUse}
}

func (c *ColumnTally) add(o *ColumnTally) {
	c.Absent = c.Absent || o.Absent
	c.Missing += o.Missing
	c.Unseen += o.Unseen
	c.Outside += o.Outside
	c.Varies = c.Varies || o.Varies || c.Present && o.Present && c.First != o.First
	if !c.Present {
		c.Present, c.First = o.Present, o.First
	}
	for i, n := range o.Bins {
		c.Bins[i] += n
	}
	for _, value := range o.Values {
		c.Values = addExample(c.Values, value)
	}
}

// columnCounter counts the columns of one worker's batches, column by column, without an allocation or a call per row.
type columnCounter struct {
	bundle *Bundle
	absent []bool // by schema column
	counts []int64
}

func newColumnCounter(b *Bundle, m ingest.Mapping) columnCounter {
	c := columnCounter{bundle: b, absent: make([]bool, len(m.Fields))}
	for i, field := range m.Fields {
		c.absent[i] = field < 0
	}
	return c
}

// count counts a batch, all rows of which are scored, into empty tallies.
func (c *columnCounter) count(columns []ColumnTally, batch *ingest.Batch) {
	rows := batch.Record.NumRows()
	for i := range columns {
		t := &columns[i]
		if c.absent[i] {
			t.Absent, t.Missing = true, rows
			if t.Bins != nil {
				t.Bins[len(t.Bins)-1] = rows
			}
			continue
		}
		switch cells := batch.Record.Column(firstSchemaColumn + i).(type) {
		case *array.Float64:
			t.countNumbers(cells, c.bundle.profiles[i].grid)
		case *array.Dictionary:
			c.counts = countCodes(c.counts, cells.Indices().(*array.Uint16).Uint16Values(), len(t.Bins)+1)
			t.countCategories(c.counts)
		default:
			t.Missing = missingTexts(cells)
		}
	}
	for _, w := range batch.Warnings {
		if w.Reason == ingest.OutsideTraining {
			columns[c.bundle.columns[w.Column]].Outside += w.Count
		}
	}
}

func (c *ColumnTally) countNumbers(cells *array.Float64, g *grid) {
	numbers := cells.Float64Values()
	c.Missing = int64(cells.NullN())
	c.noteVariation(numbers)
	if c.Bins != nil {
		g.count(c.Bins, numbers)
		c.Bins[0] -= c.Missing // they are NaN
		c.Bins[len(c.Bins)-1] = c.Missing
	}
}

// noteVariation records whether the numbers differ. It stops at the first that does.
func (c *ColumnTally) noteVariation(numbers []float64) {
	for _, x := range numbers {
		switch {
		case math.IsNaN(x):
		case !c.Present:
			c.Present, c.First = true, x
		case x != c.First:
			c.Varies = true
			return
		}
	}
}

// countCodes counts each of the codes below n and reuses counts. Up to eight codes are counted in the bytes of one
// register, as most columns have few categories and counters in memory would wait for each other.
func countCodes(counts []int64, codes []uint16, n int) []int64 {
	counts = grow(counts, n)
	clear(counts)
	if n > 8 {
		for _, code := range codes {
			counts[code]++
		}
		return counts
	}
	for len(codes) > 0 {
		run := min(len(codes), math.MaxUint8)
		packed := packedCounts(codes[:run])
		codes = codes[run:]
		for i := range counts {
			counts[i] += int64(packed >> (8 * i) & math.MaxUint8)
		}
	}
	return counts
}

// packedCounts counts at most 255 codes below 8, each in its own byte.
func packedCounts(codes []uint16) (packed uint64) {
	for _, code := range codes {
		packed += 1 << (code * 8 & 63)
	}
	return packed
}

// countCategories takes the counts of all codes: the categories, then missing and unseen.
func (c *ColumnTally) countCategories(counts []int64) {
	known := len(counts) - 2
	copy(c.Bins, counts[:known])
	c.Missing, c.Unseen = counts[known], counts[known+1]
	c.Bins[known] = c.Missing + c.Unseen
}

// missingTexts returns the number of cells without a text.
func missingTexts(cells arrow.Array) int64 { return int64(cells.NullN()) }

// Quality describes the data quality of an upload by column, beside that of the training rows.
type Quality struct {
	DuplicateIDs int64           `json:"duplicate_ids"` // rows of a customer who has an earlier row
	Columns      []ColumnQuality `json:"columns"`
}

// ColumnQuality is the data quality of a column. All counts are of scored rows.
type ColumnQuality struct {
	Column          string   `json:"column"`
	Absent          bool     `json:"absent"` // the file does not have this optional column
	Missing         int64    `json:"missing"`
	MissingShare    float64  `json:"missing_share"`
	TrainingMissing *float64 `json:"training_missing_share"` // nil if the bundle has no profile of the column
	Unseen          int64    `json:"unseen"`                 // rows with a category that training did not have
	OutOfRange      int64    `json:"out_of_range"`           // numbers outside the training range
	Constant        bool     `json:"constant"`               // more than one row has a value, and all are equal
}

func (t *Tally) quality() Quality {
	q := Quality{Columns: make([]ColumnQuality, len(t.Columns))}
	for _, w := range t.Warnings {
		if w.Code == ingest.DuplicateIDScored.Code() {
			q.DuplicateIDs += w.Count
		}
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		q.Columns[i] = ColumnQuality{
			Column: c.Name, Absent: c.Absent, Missing: c.Missing, Unseen: c.Unseen, OutOfRange: c.Outside,
			MissingShare: roundFigure(shareOf(c.Missing, t.Scored)), Constant: t.Scored-c.Missing > 1 && c.constant(),
		}
		if c.Training != nil {
			q.Columns[i].TrainingMissing = &c.Training.Missing
		}
	}
	return q
}

// constant reports whether all values of a number or category column are equal.
func (c *ColumnTally) constant() bool {
	if c.Present {
		return !c.Varies
	}
	used := 0
	for _, n := range c.Bins[:max(len(c.Bins)-1, 0)] {
		if n > 0 {
			used++
		}
	}
	return used == 1 && c.Unseen == 0
}

func shareOf(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
