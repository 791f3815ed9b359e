package bench

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	arrowcsv "github.com/apache/arrow/go/v17/arrow/csv"

	"github.com/retainwise/millrace/ingest"
)

const ingestRows = 100_000

func runIngest(ctx context.Context, o Options, r *Report) error {
	s := newStopwatch(o)
	rows := o.pick(ingestRows, 500)
	for _, kind := range []string{"unquoted", "quoted"} {
		file := CustomerFile(rows, kind == "quoted")
		c, err := reading(kind, file, rows)
		if err != nil {
			return err
		}
		if err := r.measure(ctx, s, c); err != nil {
			return err
		}
		if c, err = convertingTogether(kind+"/workers", file, rows); err != nil {
			return err
		}
		if err := r.measureWorkers(ctx, s, c); err != nil {
			return err
		}
	}
	c, err := quoting(rows)
	if err != nil {
		return err
	}
	if err := r.measure(ctx, s, c); err != nil {
		return err
	}
	allocs, err := rowAllocs(o)
	r.ingestGoals(allocs)
	return err
}

// reading compares the ways through a file, from copying it to columns of numbers and codes.
func reading(name string, file []byte, rows int) (contest, error) {
	c := contest{
		name: name, bytes: len(file),
		note: fmt.Sprintf("%d rows of %d columns, %d bytes a row", rows, len(CustomerSchema().Columns), len(file)/rows),
	}
	tokenise, err := converting(file, ingest.Schema{})
	if err != nil {
		return c, err
	}
	convert, err := converting(file, CustomerSchema())
	if err != nil {
		return c, err
	}
	for _, way := range []struct {
		name string
		read func() error
	}{
		{"memcpy", copying(file)},
		{"cut", func() error { return cutting(file) }},
		{"tokenise", tokenise},
		{"tokenise+convert", convert},
		{"encoding/csv", func() error { return standard(file, func([]string) error { return nil }) }},
		{"encoding/csv+types", func() error { return standard(file, newTypes(CustomerSchema()).read) }},
		{"arrow", func() error { return arrowReading(file) }},
	} {
		c.contestants = append(c.contestants, contestant{way.name, rows, func(int) error { return way.read() }})
	}
	return c, nil
}

// copying moves the bytes to where the near caches hold them: no reader can do less.
func copying(file []byte) func() error {
	buf := make([]byte, 256<<10)
	return func() error {
		for rest := file; len(rest) > 0; rest = rest[min(len(rest), len(buf)):] {
			copy(buf, rest)
		}
		return nil
	}
}

// cutting finds the row ends outside quotes and copies the rows into chunks.
func cutting(file []byte) error {
	chunker := ingest.NewChunker(bytes.NewReader(file), ',', ingest.Position{Row: 1, Line: 1}, ingest.Limits{})
	var buf []byte
	for {
		chunk, err := chunker.Next(buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		buf = chunk.Bytes[:0]
	}
}

// converting turns a file into batches. A schema without columns leaves the tokeniser: the place of every field, the
// shape of every row, and each row's number and place.
func converting(file []byte, s ingest.Schema) (func() error, error) {
	m, chunks, err := chunksOf(file, s)
	if err != nil {
		return nil, err
	}
	return newConverting(m, chunks), nil
}

func newConverting(m ingest.Mapping, chunks []ingest.Chunk) func() error {
	converter := ingest.NewConverter(m, ingest.Limits{})
	return func() error {
		for _, chunk := range chunks {
			batch, err := converter.Convert(chunk)
			if err != nil {
				return err
			}
			if len(batch.Rejects) > 0 {
				return fmt.Errorf("%d rows rejected: %s", len(batch.Rejects), batch.Rejects[0].Sentence())
			}
		}
		return nil
	}
}

// standard reads with the standard library.
func standard(file []byte, row func([]string) error) error {
	reader := csv.NewReader(bytes.NewReader(file))
	reader.ReuseRecord = true
	if _, err := reader.Read(); err != nil {
		return err
	}
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = row(fields)
		}
		if err != nil {
			return err
		}
	}
}

// types makes of the standard library's fields what a converter makes: numbers and codes.
type types struct {
	codes   []map[string]uint16 // by column; nil for numbers and texts
	numbers []bool
	sum     float64 // so that no work can be left out
}

func newTypes(s ingest.Schema) *types {
	t := &types{}
	for _, c := range s.Columns {
		var codes map[string]uint16
		if c.Kind == ingest.Category {
			codes = map[string]uint16{}
			for code, category := range c.Categories {
				codes[category] = uint16(code)
			}
		}
		t.codes, t.numbers = append(t.codes, codes), append(t.numbers, c.Kind == ingest.Number)
	}
	return t
}

func (t *types) read(fields []string) error {
	for i, field := range fields {
		switch {
		case t.codes[i] != nil:
			t.sum += float64(t.codes[i][field])
		case t.numbers[i] && strings.TrimSpace(field) != "":
			x, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return err
			}
			t.sum += x
		}
	}
	return nil
}

// arrowReading reads with Arrow's own reader, which keeps categories as texts.
func arrowReading(file []byte) error {
	reader := arrowcsv.NewReader(bytes.NewReader(file), arrowSchema(CustomerSchema()),
		arrowcsv.WithHeader(true), arrowcsv.WithChunk(8192), arrowcsv.WithNullReader(true, "", " "))
	defer reader.Release()
	for reader.Next() {
	}
	return reader.Err()
}

func arrowSchema(s ingest.Schema) *arrow.Schema {
	var fields []arrow.Field
	for _, column := range s.Columns {
		kind := arrow.DataType(arrow.BinaryTypes.String)
		if column.Kind == ingest.Number {
			kind = arrow.PrimitiveTypes.Float64
		}
		fields = append(fields, arrow.Field{Name: column.Name, Type: kind, Nullable: true})
	}
	return arrow.NewSchema(fields, nil)
}

// convertingTogether compares one worker with two that have every other chunk each.
func convertingTogether(name string, file []byte, rows int) (contest, error) {
	m, chunks, err := chunksOf(file, CustomerSchema())
	if err != nil {
		return contest{}, err
	}
	middle := len(chunks) / 2
	var failed [3]error
	worker := func(i int, chunks []ingest.Chunk) func() {
		convert := newConverting(m, chunks)
		return func() { failed[i] = convert() }
	}
	one := []func(){worker(0, chunks)}
	two := []func(){worker(1, slices.Clip(chunks[:middle])), worker(2, chunks[middle:])}
	run := func(tasks []func()) func(int) error {
		return func(int) error { runParallel(tasks); return errors.Join(failed[:]...) }
	}
	return contest{
		name: name, note: "tokenise+convert: one worker and two, with half of the chunks each", bytes: len(file),
		wall: true, contestants: []contestant{{"one", rows, run(one)}, {"two", rows, run(two)}},
	}, nil
}

// quoting compares the same text with and without quotes.
func quoting(rows int) (contest, error) {
	c := contest{name: "quoting", note: "tokenise+convert: the same columns plain and with every text in quotes"}
	for _, kind := range []string{"unquoted", "quoted"} {
		convert, err := converting(CustomerFile(rows, kind == "quoted"), CustomerSchema())
		if err != nil {
			return c, err
		}
		c.contestants = append(c.contestants, contestant{kind, rows, func(int) error { return convert() }})
	}
	return c, nil
}
