package engine

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

var inf = math.Inf(1)

// firstSchemaColumn is the index of the schema's first column in a batch, after _row, _start and _length.
const firstSchemaColumn = 3

// featureColumn maps a feature of the model to a schema column.
type featureColumn struct {
	column int // position in the schema
	// values maps each category code, then a missing cell and an unknown category, to the model's value; nil for
	// numbers.
	values []float64
}

// bindFeatures finds the schema column of every feature: by name, or by position if the model has no names.
func bindFeatures(f *forest.Forest, s ingest.Schema) ([]featureColumn, error) {
	features := make([]featureColumn, len(f.Features))
	inputs := inputColumns(s)
	for i, feature := range f.Features {
		column := slices.IndexFunc(s.Columns, func(c ingest.Column) bool { return c.Name == feature.Name })
		if isGeneratedName(feature.Name, i) && column < 0 && i < len(inputs) {
			column = inputs[i]
		}
		if column < 0 {
			return nil, fmt.Errorf("feature %q of the model is not a column of the bundle", feature.Name)
		}
		c := s.Columns[column]
		if c.Kind == ingest.Text {
			return nil, fmt.Errorf("feature %q is a text column: make it a number or a category", feature.Name)
		}
		features[i].column = column
		if c.Kind == ingest.Category {
			values, err := categoryValues(c, &f.Features[i])
			if err != nil {
				return nil, err
			}
			features[i].values = values
		}
	}
	return features, nil
}

// inputColumns returns the positions of the number and category columns, in order.
func inputColumns(s ingest.Schema) []int {
	var inputs []int
	for i, c := range s.Columns {
		if c.Kind != ingest.Text {
			inputs = append(inputs, i)
		}
	}
	return inputs
}

// isGeneratedName reports whether the training library made up the name of feature i.
func isGeneratedName(name string, i int) bool {
	return name == "" || name == fmt.Sprintf("Column_%d", i) || name == fmt.Sprintf("f%d", i)
}

// categoryValues returns the value that the model was trained with for each category: its position in the schema, or in
// the model file's own list if it has one. Missing and unknown categories are NaN.
func categoryValues(c ingest.Column, feature *forest.Feature) ([]float64, error) {
	values := make([]float64, len(c.Categories)+2)
	exact := make(map[string]int, len(feature.Categories))
	for code, category := range slices.Backward(feature.Categories) { // of two that read the same the first
		exact[category] = code
	}
	for code, category := range c.Categories {
		values[code] = float64(code)
		if len(feature.Categories) == 0 {
			continue
		}
		trained, known := exact[category]
		if !known {
			trained, known = feature.Code(category)
		}
		if !known {
			return nil, fmt.Errorf("column %q: the model was not trained on category %q", c.Name, category)
		}
		values[code] = float64(trained)
	}
	values[len(c.Categories)] = math.NaN()
	values[len(c.Categories)+1] = math.NaN()
	return values, nil
}

// featureRows returns a view of a batch for the model without copying cells. It reuses columns.
func featureRows(rec arrow.Record, features []featureColumn, columns []forest.Column) forest.Rows {
	for i, f := range features {
		col := rec.Column(firstSchemaColumn + f.column)
		if f.values == nil {
			columns[i] = forest.Column{Numbers: col.(*array.Float64).Float64Values()}
			continue
		}
		codes := col.(*array.Dictionary).Indices().(*array.Uint16).Uint16Values()
		columns[i] = forest.Column{Codes: codes, Values: f.values}
	}
	return forest.Rows{Len: int(rec.NumRows()), Columns: columns}
}
