package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

const drawnRows = 10_000

// telecom is the sample that was given, or rows that are made up.
func (o Options) telecom(b *engine.Bundle) []byte {
	if len(o.Sample) > 0 {
		return o.Sample
	}
	return drawFile(b.Schema(), o.pick(drawnRows, 100))
}

// drawFile makes up a CSV file of a bundle's columns: any number within the range of training, any category.
func drawFile(s ingest.Schema, rows int) []byte {
	random := rand.New(rand.NewPCG(scoredSeed, 14))
	var file []byte
	for _, c := range s.Columns {
		file = append(append(file, c.Name...), ',')
	}
	file[len(file)-1] = '\n'
	for row := range rows {
		for _, c := range s.Columns {
			file = append(appendCell(file, random, c, row), ',')
		}
		file[len(file)-1] = '\n'
	}
	return file
}

func appendCell(file []byte, random *rand.Rand, c ingest.Column, row int) []byte {
	switch c.Kind {
	case ingest.Text:
		return fmt.Appendf(file, "C-%06d", row)
	case ingest.Category:
		return append(file, c.Categories[random.IntN(len(c.Categories))]...)
	}
	low, high := 0.0, 100.0
	if c.Min != nil {
		low = *c.Min
	}
	if c.Max != nil {
		high = *c.Max
	}
	return strconv.AppendFloat(file, math.Trunc(low+random.Float64()*(high-low)), 'f', -1, 64)
}

// bundleRows reads a whole CSV file as the bundle's model sees it.
func bundleRows(b *engine.Bundle, file []byte) (forest.Rows, error) {
	m, chunks, err := chunksOf(file, b.Schema())
	if err != nil {
		return forest.Rows{}, err
	}
	features := b.Forest().Features
	rows := forest.Rows{Columns: make([]forest.Column, len(features))}
	converter := ingest.NewConverter(m, ingest.Limits{})
	for _, chunk := range chunks {
		batch, err := converter.Convert(chunk)
		if err != nil {
			return rows, err
		}
		rows.Len += int(batch.Record.NumRows())
		for i, f := range features {
			column := slices.IndexFunc(m.Schema.Columns, func(c ingest.Column) bool { return c.Name == f.Name })
			if column < 0 {
				return rows, fmt.Errorf("feature %q is not a column of bundle %s", f.Name, b.Name())
			}
			found := batch.Record.Schema().FieldIndices(f.Name)
			appendColumn(&rows.Columns[i], batch.Record.Column(found[0]), &m.Schema.Columns[column], &f)
		}
	}
	return rows, nil
}

// appendColumn appends what the batch has of a feature: numbers, or codes with the model's value of each.
func appendColumn(to *forest.Column, from any, c *ingest.Column, f *forest.Feature) {
	switch values := from.(type) {
	case *array.Float64:
		to.Numbers = append(to.Numbers, values.Float64Values()...)
	case *array.Dictionary:
		to.Codes = append(to.Codes, values.Indices().(*array.Uint16).Uint16Values()...)
		if to.Values != nil {
			return
		}
		for position, category := range c.Categories {
			if code, known := f.Code(category); known {
				position = code
			}
			to.Values = append(to.Values, float64(position))
		}
		to.Values = append(to.Values, math.NaN(), math.NaN()) // missing, unknown
	}
}

// chunksOf cuts a file beforehand, so that what comes behind is measured alone.
func chunksOf(file []byte, s ingest.Schema) (ingest.Mapping, []ingest.Chunk, error) {
	header, rest, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
	if err != nil {
		return ingest.Mapping{}, nil, err
	}
	m, err := ingest.Map(s, header)
	if err != nil {
		return m, nil, err
	}
	chunker := ingest.NewChunker(rest, header.Delimiter, header.Start(), ingest.Limits{})
	var chunks []ingest.Chunk
	for {
		chunk, err := chunker.Next(nil)
		if errors.Is(err, io.EOF) {
			return m, chunks, nil
		}
		if err != nil {
			return m, nil, err
		}
		chunks = append(chunks, chunk)
	}
}
