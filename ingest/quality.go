package ingest

import "math"

// Quality is what the cells of one column look like.
type Quality struct {
	Column  string // the schema's name
	Values  int64  // cells that have a value which the model knows
	Missing int64
	Unknown int64 // categories that the model does not know
	Outside int64 // numbers outside of what training saw
	// Constant says that all values are the same, Value which one: a number or the code of a category. Both mean
	// nothing without values, and for a Text column.
	Constant bool
	Value    float64
}

// Merge adds the same column of another batch.
func (q *Quality) Merge(other Quality) {
	switch {
	case q.Values == 0:
		q.Constant, q.Value = other.Constant, other.Value
	case other.Values > 0:
		q.Constant = q.Constant && other.Constant && q.Value == other.Value
	}
	q.Values += other.Values
	q.Missing += other.Missing
	q.Unknown += other.Unknown
	q.Outside += other.Outside
}

// qualityOf sums up a column of a batch.
func qualityOf(filled cells, rows int) Quality {
	head := filled.head()
	q := Quality{
		Column: head.schema.Name, Outside: head.counts[0], Missing: head.counts[1], Unknown: head.counts[2],
		Values: int64(rows - head.nulls()),
	}
	switch c := filled.(type) {
	case *numbers:
		q.Value, q.Constant = onlyOne(c.values, func(value float64) bool { return !math.IsNaN(value) })
	case *categories:
		var code uint16
		code, q.Constant = onlyOne(c.codes, func(code uint16) bool { return code < c.missing })
		q.Value = float64(code)
	}
	return q
}

// onlyOne says whether all values that count are the same. As a rule the second one tells.
func onlyOne[T comparable](values []T, counts func(T) bool) (only T, is bool) {
	for _, value := range values {
		switch {
		case !counts(value):
		case !is:
			only, is = value, true
		case value != only:
			return only, false
		}
	}
	return only, is
}
