package cli

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/retainwise/millrace/engine/forest"
)

const (
	matrixBatch   = 1024 // rows read at a time
	matrixLineMax = 64 << 20
)

// MatrixReader reads a numeric matrix, a batch of rows at a time. The rows returned are valid until the next call.
type MatrixReader struct {
	lines   *bufio.Scanner
	line    int
	skip    bool // the first line holds names
	label   int  // column left out, -1 for none
	columns []forest.Column
}

func NewMatrixReader(r io.Reader, features int, header bool, label int) *MatrixReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, matrixLineMax)
	m := &MatrixReader{lines: lines, skip: header, label: label, columns: make([]forest.Column, features)}
	for i := range m.columns {
		m.columns[i].Numbers = make([]float64, 0, matrixBatch)
	}
	return m
}

func (m *MatrixReader) Next() (forest.Rows, error) {
	for i := range m.columns {
		m.columns[i].Numbers = m.columns[i].Numbers[:0]
	}
	n := 0
	for n < matrixBatch && m.lines.Scan() {
		m.line++
		text := strings.TrimSuffix(m.lines.Text(), "\r")
		if text == "" && len(m.columns) != 1 || m.skip && m.line == 1 {
			continue
		}
		if err := m.add(text); err != nil {
			return forest.Rows{}, fmt.Errorf("line %d: %w", m.line, err)
		}
		n++
	}
	if err := m.lines.Err(); err != nil {
		return forest.Rows{}, err
	}
	if n == 0 {
		return forest.Rows{}, io.EOF
	}
	return forest.Rows{Len: n, Columns: m.columns}, nil
}

// add appends one line to the columns.
func (m *MatrixReader) add(text string) error {
	separator := ","
	if strings.Contains(text, "\t") {
		separator = "\t"
	}
	column := 0
	for i, cell := range strings.Split(text, separator) {
		if i == m.label {
			continue
		}
		if column == len(m.columns) {
			return fmt.Errorf("more than the model's %d columns", len(m.columns))
		}
		x, err := parseNumber(cell)
		if err != nil {
			return fmt.Errorf("column %d is not a number", i)
		}
		m.columns[column].Numbers = append(m.columns[column].Numbers, x)
		column++
	}
	if column != len(m.columns) {
		return fmt.Errorf("%d columns, the model has %d", column, len(m.columns))
	}
	return nil
}

func parseNumber(cell string) (float64, error) {
	cell = strings.TrimSpace(cell)
	if cell == "" || strings.EqualFold(cell, "na") {
		return math.NaN(), nil
	}
	return strconv.ParseFloat(cell, 64)
}

// newPredictor returns a function that prints one kind of output for a batch of rows. Exact is for contributions.
func newPredictor(f *forest.Forest, kind string, exact bool) (func(*bufio.Writer, forest.Rows) error, error) {
	switch kind {
	case "leaf":
		walker := forest.NewWalker(f)
		return func(out *bufio.Writer, rows forest.Rows) error {
			ids := make([]int32, rows.Len*len(f.Trees))
			walker.LeafIDs(ids, rows)
			for i, id := range ids {
				if numbers := f.Trees[i%len(f.Trees)].LeafNumbers; numbers != nil {
					ids[i] = numbers[id] // the library's numbers of leaves
				}
			}
			return printRows(out, ids, rows.Len, func(line []byte, id int32) []byte {
				return strconv.AppendInt(line, int64(id), 10)
			})
		}, nil
	case "contrib":
		contributions, err := newContributions(f, exact)
		if err != nil {
			return nil, err
		}
		return func(out *bufio.Writer, rows forest.Rows) error {
			phi := make([]float64, rows.Len*f.Classes*(len(f.Features)+1))
			contributions(phi, rows)
			if f.Average { // the library sums over a random forest here, as for raw scores
				for i := range phi {
					phi[i] *= float64(f.Iterations)
				}
			}
			return printRows(out, phi, rows.Len, appendNumber)
		}, nil
	}
	rawScores, err := newRawPredictor(f, kind)
	if err != nil {
		return nil, err
	}
	return func(out *bufio.Writer, rows forest.Rows) error {
		raw := make([]float64, rows.Len*f.Classes)
		rawScores(raw, rows)
		if kind == "probability" {
			f.Probabilities(raw, raw)
		}
		return printRows(out, raw, rows.Len, appendNumber)
	}, nil
}

// newContributions gives the function that explains rows: in float64 leaf by leaf, or as rows are explained when scored.
func newContributions(f *forest.Forest, exact bool) (func([]float64, forest.Rows), error) {
	if exact {
		explainer, err := forest.NewExactExplainer(f)
		if err != nil {
			return nil, err
		}
		return explainer.Contributions, nil
	}
	explainer, err := forest.NewExplainer(f)
	if err != nil {
		return nil, err
	}
	return explainer.NewContributor().Contributions, nil
}

// newRawPredictor returns a function that computes the raw scores of the training library, which for LightGBM's random
// forests are the sum.
func newRawPredictor(f *forest.Forest, kind string) (func([]float64, forest.Rows), error) {
	if f.Average && kind == "raw" {
		return forest.NewWalker(f).Sum, nil
	}
	compiled, err := forest.Compile(f)
	if err != nil {
		return nil, err
	}
	return compiled.NewScorer().Raw, nil
}

func appendNumber(line []byte, x float64) []byte { return strconv.AppendFloat(line, x, 'g', 17, 64) }

// printRows prints a row-major matrix, one line a row.
func printRows[T any](out *bufio.Writer, values []T, rows int, appendValue func([]byte, T) []byte) error {
	width := len(values) / rows
	var line []byte
	for r := range rows {
		line = line[:0]
		for i, v := range values[r*width : (r+1)*width] {
			if i > 0 {
				line = append(line, '\t')
			}
			line = appendValue(line, v)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}
