package forest

// Rows is a batch of rows, column by column, in the order of Forest.Features. Nothing is copied: the slices belong to
// the caller and are only read.
type Rows struct {
	Len     int
	Columns []Column
}

// Column is one feature of a batch. Either Numbers or Codes is set.
type Column struct {
	// Numbers holds one value a row; NaN is missing.
	Numbers []float64
	// Codes holds one category code a row, each below len(Values).
	Codes []uint16
	// Values gives the model's value of each code; NaN is missing.
	Values []float64
}

// At returns the value of a row as the model reads it.
func (c *Column) At(row int) float64 {
	if c.Codes != nil {
		return c.Values[c.Codes[row]]
	}
	return c.Numbers[row]
}
