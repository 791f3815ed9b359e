package ingest

import "math"

// poison overwrites the last batch.
func (c *Converter) poison() {
	fill(c.fixed.rows, math.MinInt64)
	fill(c.fixed.starts, math.MinInt32)
	fill(c.fixed.lengths, math.MinInt32)
	for _, column := range c.all {
		switch column := column.(type) {
		case *numbers:
			fill(column.values, -math.MaxFloat64)
		case *categories:
			fill(column.codes, math.MaxUint16)
		case *texts:
			fill(column.bytes, '~')
		}
	}
}

func fill[T any](values []T, value T) {
	for i := range values {
		values[i] = value
	}
}
