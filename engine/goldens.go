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

	"github.com/retainwise/millrace/ingest"
)

// ErrGolden is a bundle whose model gives a golden row another score: a valid but wrong file.
var ErrGolden = errors.New("golden rows score differently")

const (
	goldenFile        = "golden.csv"
	goldenRaw         = "_raw"
	goldenProbability = "_probability"
	goldenTolerance   = 1e-6
)

// checkGoldens scores the bundle's golden rows the way any file is scored and compares with what the training library
// said. A blank or absurd cell must be among them, so no golden row may be rejected.
func (b *Bundle) checkGoldens(dir fs.FS) error {
	file, err := fs.ReadFile(dir, goldenFile)
	if err != nil {
		return fmt.Errorf("read golden rows: %w", err)
	}
	raw, err := numberColumn(file, goldenRaw)
	if err != nil {
		return fmt.Errorf("%s: %w", goldenFile, err)
	}
	probability, err := numberColumn(file, goldenProbability)
	if err != nil {
		return fmt.Errorf("%s: %w", goldenFile, err)
	}
	w, chunk, err := b.wholeFile(file)
	if err != nil {
		return fmt.Errorf("%s: %w", goldenFile, err)
	}
	batch, err := w.converter.Convert(chunk)
	if err != nil {
		return fmt.Errorf("%s: %w", goldenFile, err)
	}
	if len(batch.Rejects) > 0 || int(batch.Record.NumRows()) != len(raw) {
		return fmt.Errorf("%w: %d of %d rows are rejected", ErrGolden, len(batch.Rejects), len(raw))
	}
	rows, err := w.predict(batch.Record)
	if err != nil {
		return err
	}
	for i := range raw {
		if !near(w.raw[i], raw[i]) || !near(w.linked[i], probability[i]) {
			return fmt.Errorf("%w: row %d", ErrGolden, i+1)
		}
	}
	if b.explainer != nil {
		b.explainer.orient(rows)
	}
	return nil
}

// wholeFile prepares a small file for scoring in one piece.
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

// numberColumn reads one column of a CSV file.
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
