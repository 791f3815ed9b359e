package forest

import "slices"

// bins is the scratch of one worker: it turns blocks of rows into codes. It must not be shared.
type bins struct {
	*binner
	rows    Rows
	tables  [][]uint8 // by position in binner.features: [column of the feature][value], for columns of codes
	numbers [blockRows]float64
	scratch binScratch
	values  []float64 // of a single row, see rowPlan
}

func (b *binner) newBins() *bins {
	return &bins{binner: b, tables: make([][]uint8, len(b.features)), values: make([]float64, len(b.row.features))}
}

// start takes the rows that the following calls of fill bin. They are read until the next start.
//
// Columns of category codes are binned by value, not by row: each value once, here, unless there are more values than
// rows.
func (b *bins) start(rows Rows) {
	b.rows = rows
	for i := range b.features {
		f := &b.features[i]
		column := &rows.Columns[f.feature]
		b.tables[i] = b.tables[i][:0]
		if column.Codes == nil || len(column.Values) > rows.Len {
			continue
		}
		values := len(column.Values)
		table := slices.Grow(b.tables[i], f.count*values)[:f.count*values]
		for first := 0; first < values; first += blockRows {
			part := column.Values[first:min(first+blockRows, values)]
			f.fill(table[first:], values, part, &b.scratch)
		}
		b.tables[i] = table
	}
}

// finish drops the references to the caller's rows.
func (b *bins) finish() { b.rows = Rows{} }

// fill writes the codes of rows first … first+n-1, n <= blockRows, to dst[column*blockRows+i]. Bytes of rows beyond n
// keep what they held: any byte is a valid code, so a kernel may read them.
func (b *bins) fill(dst []uint8, first, n int) {
	for i := range b.features {
		f := &b.features[i]
		column, to := &b.rows.Columns[f.feature], dst[f.first*blockRows:]
		switch {
		case len(b.tables[i]) > 0:
			f.fillCodes(to, b.tables[i], column.Codes[first:first+n], len(column.Values))
		case column.Codes != nil:
			for j, code := range column.Codes[first : first+n] {
				b.numbers[j] = column.Values[code]
			}
			f.fill(to, blockRows, b.numbers[:n], &b.scratch)
		default:
			f.fill(to, blockRows, column.Numbers[first:first+n], &b.scratch)
		}
	}
}

// fill writes the codes of up to blockRows numbers to the feature's columns, which are stride bytes apart.
func (f *featureBins) fill(dst []uint8, stride int, x []float64, s *binScratch) {
	for i := range f.numeric {
		f.numeric[i].fill(dst, stride, f.first, x, s)
	}
	if len(f.sets) > 0 {
		f.fillSets(dst, stride, x, s)
	}
}

// fillCodes looks the codes of the feature's columns up by value.
func (f *featureBins) fillCodes(dst, table []uint8, codes []uint16, values int) {
	for c := range f.count {
		column, lookup := dst[c*blockRows:][:len(codes)], table[c*values:][:values]
		for i, code := range codes {
			column[i] = lookup[code]
		}
	}
}
