package draft

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/engine"
)

const (
	keptRowsMax     = 100_000   // rows that quantiles are taken from
	keptBytesMax    = 256 << 20 // of them
	labelledRowsMax = 2_000_000 // rows that outcomes are compared of
)

// reservoir keeps some of many rows, each with the same chance. It always keeps the same ones of the same rows.
type reservoir struct {
	width  int
	most   int
	values []float64 // row by row: the columns, then the probability
	random *rand.Rand
	seen   int
}

func newReservoir(width int) *reservoir {
	most := min(keptRowsMax, keptBytesMax/8/width)
	return &reservoir{width: width, most: most, random: rand.New(rand.NewPCG(1, 2))}
}

// place returns the memory for the next row; nil if it is not kept.
func (r *reservoir) place() []float64 {
	r.seen++
	if r.len() < r.most {
		r.values = append(r.values, make([]float64, r.width)...)
		return r.row(r.len() - 1)
	}
	if i := r.random.IntN(r.seen); i < r.most {
		return r.row(i)
	}
	return nil
}

func (r *reservoir) len() int            { return len(r.values) / r.width }
func (r *reservoir) row(i int) []float64 { return r.values[i*r.width:][:r.width] }

// column returns the values of column i that are not missing.
func (r *reservoir) column(i int) []float64 {
	var values []float64
	for row := range r.len() {
		if x := r.row(row)[i]; !math.IsNaN(x) {
			values = append(values, x)
		}
	}
	return values
}

// measured is what a table was found to hold.
type measured struct {
	tally    engine.Tally
	kept     *reservoir
	min, max []float64 // by column; NaN without a value
	missing  []int64   // by column
	counts   [][]int64 // by column and category
	scores   [scoreBins]int64
	observed []engine.Observed // rows with a label
}

// scoreBins is the number of equal ranges of the probability in a training profile.
const scoreBins = 20

// scoreTable scores a table and counts what its columns hold.
func (d *description) scoreTable(ctx context.Context, b *engine.Bundle, open Table) (*measured, error) {
	in, closeTable, err := open()
	if err != nil {
		return nil, err
	}
	defer closeTable()
	if err := in.DecideNumbers(b, d.Numbers); err != nil {
		return nil, err
	}
	width := len(d.columns)
	m := &measured{kept: newReservoir(width + 1), min: nans(width), max: nans(width), missing: make([]int64, width)}
	for i := range d.columns {
		m.counts = append(m.counts, make([]int64, len(d.columns[i].categories)))
	}
	opt := engine.Options{NewSampler: func() engine.Sampler {
		s := &rowSampler{columns: d.columns}
		if d.Label != "" {
			s.labels = b.NewLabelSampler()
		}
		return s
	}}
	if m.tally, err = engine.Score(ctx, in, b, opt, m); err != nil {
		return nil, err
	}
	return m, m.tally.CheckNumbers()
}

func nans(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.NaN()
	}
	return values
}

// rowSampler encodes the values of all rows, then the labels: the number of rows and of bytes of labels, the rows, the
// labels.
type rowSampler struct {
	columns []column
	labels  engine.Sampler // nil without a label
}

// AppendSample implements [engine.Sampler].
func (s *rowSampler) AppendSample(dst []byte, input, scored arrow.Record) ([]byte, error) {
	head := len(dst)
	rows := int(input.NumRows())
	dst = binary.LittleEndian.AppendUint32(dst, uint32(rows))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	probabilities := scored.Column(2).(*array.Float32)
	for row := range rows {
		for i := range s.columns {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(cell(input.Column(leadColumns+i), row)))
		}
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(float64(probabilities.Value(row))))
	}
	if s.labels == nil {
		return dst, nil
	}
	from := len(dst)
	dst, err := s.labels.AppendSample(dst, input, scored)
	binary.LittleEndian.PutUint32(dst[head+4:], uint32(len(dst)-from))
	return dst, err
}

// cell returns a number, or the code of a category; NaN if it is missing or of another kind.
func cell(a arrow.Array, row int) float64 {
	if a.IsNull(row) {
		return math.NaN()
	}
	switch a := a.(type) {
	case *array.Float64:
		return a.Value(row)
	case *array.Dictionary:
		return float64(a.GetValueIndex(row))
	}
	return math.NaN()
}

// WriteChunk implements [engine.Sink].
func (m *measured) WriteChunk(c *engine.ScoredChunk) error {
	for rest := c.Sample; len(rest) > 0; {
		rows, labels := int(binary.LittleEndian.Uint32(rest)), int(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		for range rows {
			m.add(rest[:8*m.kept.width])
			rest = rest[8*m.kept.width:]
		}
		if labels > len(rest) {
			return errors.New("sample is cut short")
		}
		m.observed = engine.AppendObserved(m.observed, rest[:labels], labelledRowsMax)
		rest = rest[labels:]
	}
	return nil
}

// add counts an encoded row.
func (m *measured) add(encoded []byte) {
	place := m.kept.place()
	last := m.kept.width - 1
	for i := range m.kept.width {
		x := math.Float64frombits(binary.LittleEndian.Uint64(encoded[8*i:]))
		if place != nil {
			place[i] = x
		}
		switch {
		case i == last:
			m.scores[min(int(x*scoreBins), scoreBins-1)]++
		case math.IsNaN(x):
			m.missing[i]++
		case len(m.counts[i]) > 0:
			m.counts[i][int(x)]++
		default:
			if !(m.min[i] <= x) {
				m.min[i] = x
			}
			if !(m.max[i] >= x) {
				m.max[i] = x
			}
		}
	}
}
