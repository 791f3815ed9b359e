package engine

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// ErrGolden reports that the model scores a golden row differently than its training library did.
var ErrGolden = errors.New("golden rows score differently")

const (
	goldenFile        = "golden.csv"
	goldenRaw         = "_raw"
	goldenProbability = "_probability"
	goldenTolerance   = 1e-6
)

// checkGoldens scores the bundle's golden rows on the normal path and compares them with the training library's
// results. Golden rows include blank and extreme cells, so none may be rejected.
func (b *Bundle) checkGoldens(dir fs.FS) error {
	file, err := fs.ReadFile(dir, goldenFile)
	if err != nil {
		return fmt.Errorf("read golden rows: %w", err)
	}
	rows, err := b.compareGoldens(file)
	if err != nil {
		return fmt.Errorf("%s: %w", goldenFile, err)
	}
	if b.explainer != nil {
		b.explainer.learnDirections(rows)
	}
	return nil
}

// CheckGoldens compares with a CSV file that has, behind the model's columns, what the training library says of each row:
// _raw and _probability. A difference beyond 1e-6 is an [ErrGolden] that names the row, the column and both values.
func (b *Bundle) CheckGoldens(file []byte) error {
	_, err := b.compareGoldens(file)
	return err
}

// compareGoldens returns the rows that were compared.
func (b *Bundle) compareGoldens(file []byte) (rows forest.Rows, err error) {
	raw, err := numberColumn(file, goldenRaw)
	if err != nil {
		return rows, err
	}
	probability, err := numberColumn(file, goldenProbability)
	if err != nil {
		return rows, err
	}
	w, rows, err := b.predictFile(file)
	if err != nil {
		return rows, err
	}
	if rows.Len != len(raw) {
		return rows, fmt.Errorf("%w: %d rows are read, %d have scores", ErrGolden, rows.Len, len(raw))
	}
	if err := differing(goldenRaw, w.raw, raw); err != nil {
		return rows, err
	}
	return rows, differing(goldenProbability, w.linked, probability)
}

// predictFile scores a small file of which no row may be rejected.
func (b *Bundle) predictFile(file []byte) (*worker, forest.Rows, error) {
	var none forest.Rows
	w, chunk, err := b.wholeFile(file)
	if err != nil {
		return nil, none, err
	}
	batch, err := w.converter.Convert(chunk)
	if err != nil {
		return nil, none, err
	}
	if len(batch.Rejects) > 0 {
		first := batch.Rejects[0]
		return nil, none, fmt.Errorf("%w: %d of %d rows are rejected, the first is row %d: %s",
			ErrGolden, len(batch.Rejects), chunk.Rows, first.Row, first.Sentence())
	}
	rows, err := w.predict(batch.Record)
	return w, rows, err
}

// Prediction is what a model makes of the rows of a small file.
type Prediction struct {
	Features    [][]float64 // row by row, as the model takes them: NaN is missing, a category is its code
	Raw         []float64
	Probability []float64 // after the calibration
}

// Predict scores a small file on the normal path. A row that is rejected is an error.
func (b *Bundle) Predict(file []byte) (Prediction, error) {
	w, rows, err := b.predictFile(file)
	if err != nil {
		return Prediction{}, err
	}
	p := Prediction{Raw: w.raw, Probability: w.linked, Features: make([][]float64, rows.Len)}
	for i := range p.Features {
		p.Features[i] = make([]float64, len(rows.Columns))
		for j := range rows.Columns {
			p.Features[i][j] = rows.Columns[j].At(i)
		}
	}
	return p, nil
}

// differing names the first row whose score is not the library's.
func differing(column string, got, want []float64) error {
	first, rows := -1, 0
	for i := range want {
		if near(got[i], want[i]) {
			continue
		}
		if rows++; first < 0 {
			first = i
		}
	}
	if first < 0 {
		return nil
	}
	return fmt.Errorf("%w: row %d: %s is %v in the file, %v by the model; %d of %d rows differ",
		ErrGolden, first+1, column, want[first], got[first], rows, len(want))
}

// wholeFile returns a worker for a small file and the file as one chunk.
func (b *Bundle) wholeFile(file []byte) (*worker, ingest.Chunk, error) {
	limits := ingest.Limits{ChunkBytes: len(file) + 1}
	header, rest, err := ingest.ReadHeader(bytes.NewReader(file), limits)
	if err != nil {
		return nil, ingest.Chunk{}, err
	}
	mapping, err := ingest.Map(b.schema, header)
	if err != nil {
		return nil, ingest.Chunk{}, err
	}
	w, err := newWorker(Input{Header: header, Limits: limits}, b, Options{}, mapping)
	if err != nil {
		return nil, ingest.Chunk{}, err
	}
	chunk, err := ingest.NewChunker(rest, header.Delimiter, header.Start(), limits).Next(nil)
	return w, chunk, err
}

func near(got, want float64) bool {
	return math.Abs(got-want) <= goldenTolerance*max(1, math.Abs(want))
}

// numberColumn returns a column of a CSV file.
func numberColumn(file []byte, name string) ([]float64, error) {
	r := csv.NewReader(bytes.NewReader(file))
	header, err := r.Read()
	if err != nil {
		return nil, err
	}
	column := slices.Index(header, name)
	if column < 0 {
		return nil, fmt.Errorf("column %s is missing", name)
	}
	var numbers []float64
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return numbers, nil
		}
		if err != nil {
			return nil, err
		}
		x, err := strconv.ParseFloat(cells[column], 64)
		if err != nil {
			return nil, fmt.Errorf("row %d: column %s is not a number", len(numbers)+1, name)
		}
		numbers = append(numbers, x)
	}
}
