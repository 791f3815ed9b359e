package ingest

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/retainwise/millrace/ingest/internal/kernels"
)

// sampleBytes is how much of a file, behind its header, decides how its numbers are written.
const sampleBytes = 1 << 20

// Sample is the front of a file's rows: what its number style is decided from.
type Sample struct {
	text  []byte
	whole bool // there is no more
}

// ReadSample reads the sample of a body that begins behind the header. The returned reader gives the whole body.
func ReadSample(body io.Reader) (Sample, io.Reader, error) {
	var text []byte
	for size := firstRead; ; size = min(4*size, sampleBytes) {
		have := len(text)
		text = append(text, make([]byte, size-have)...)
		n, ended, err := readWhole(body, text[have:])
		text = text[:have+n]
		if err != nil {
			return Sample{}, nil, fmt.Errorf("read sample: %w", err)
		}
		if ended || len(text) == sampleBytes {
			return Sample{text: text, whole: ended}, io.MultiReader(bytes.NewReader(text), body), nil
		}
	}
}

// NumberStyleError says that the numbers of a file may mean two things, or are written in two ways. Its cells are text
// of the customer's: not for logs.
type NumberStyleError struct {
	Line   int64  // of the cell; 0 if it is about counted rows
	Column string // the file's name of it
	Cell   string
	// AsPoint and AsComma are the two readings of the cell; empty if the file mixes two styles.
	AsPoint, AsComma string
	// Other is a cell written in the other style, on OtherLine in OtherColumn; empty if there is none.
	Other, OtherColumn string
	OtherLine          int64
	// Rows of Of have cells against the style of the file; 0 if the sample already refuses it.
	Rows, Of int64
}

// Error implements error. It leaves out the cells.
func (e *NumberStyleError) Error() string {
	switch {
	case e.Rows > 0:
		return fmt.Sprintf("%d of %d rows have numbers in another style than the file", e.Rows, e.Of)
	case e.Other != "":
		return fmt.Sprintf("numbers are written in two styles, on lines %d and %d", e.Line, e.OtherLine)
	}
	return fmt.Sprintf("the number on line %d can be read in two ways", e.Line)
}

// DecideNumbers finds out how the numbers are written that the mapping reads, as far as stated leaves that open. It
// depends on the sample and the mapping only. The error is a [*NumberStyleError] or a [*ShiftedRowsError].
func (m Mapping) DecideNumbers(s Sample, stated NumberStyle) (NumberStyle, error) {
	if stated.Decimal != "" {
		return stated, nil
	}
	text := s.Rows(m.Header.Delimiter)
	if decimal := m.formerStyle(text); decimal != "" {
		stated.Decimal = decimal
		return stated, nil
	}
	p := newProbe(m, text)
	p.look(false)
	if p.shifted() {
		if err := m.findShift(text); err != nil {
			return stated, err
		}
	}
	if !p.written && (m.Header.Delimiter != ';' || bytes.IndexByte(text, '.') < 0) {
		return stated, nil
	}
	all := newProbe(m, text)
	all.look(true)
	return all.decide(stated)
}

// styleSentence stands in the reason of a row that was rejected for its style, in front of an example.
const styleSentence = "a number written like "

// formerStyle is the decimal sign of the file that a rejects file was made from, if one of its reasons shows it: the rows
// at hand are those that were written otherwise.
func (m *Mapping) formerStyle(text []byte) string {
	if m.formerField(rejectReason) < 0 {
		return ""
	}
	_, example, found := bytes.Cut(text, []byte(styleSentence))
	before, _, ends := bytes.Cut(example, []byte("56,"))
	if !found || !ends || len(before) == 0 {
		return ""
	}
	if sign := string(before[len(before)-1:]); slices.Contains(decimalSigns, sign) {
		return sign
	}
	return ""
}

// Whole reports whether the sample is all of the file.
func (s Sample) Whole() bool { return s.whole }

// Rows is the sample up to its last row end. It belongs to the sample.
func (s Sample) Rows(delimiter byte) []byte {
	if s.whole {
		return s.text
	}
	found := kernel.Scan(s.text, delimiter)
	if found.Violation {
		found, _ = scanBroken(s.text, delimiter)
	}
	return s.text[:found.End]
}

// probe looks at the number cells of a sample.
type probe struct {
	converter *Converter
	chunk     Chunk
	columns   []*probedColumn
	every     bool // also at plain decimals
	written   bool // a cell is a number, but no plain decimal
	european  bool // a sign of a country that writes a decimal comma
}

// probedColumn is a number column while it is looked at. It implements cells.
type probedColumn struct {
	numbers
	probe   *probe
	counts  [signGrouped + 1]int64
	first   [signGrouped + 1]int // where in the chunk
	cells   int64                // looked at or not
	outside int64                // cells outside the training range, or with a zero in front as decimals have
}

func newProbe(m Mapping, text []byte) *probe {
	start := m.Header.Start()
	p := &probe{chunk: Chunk{Position: start, Bytes: text}}
	c := &Converter{mapping: m, limits: Limits{}.withDefaults(), counts: map[int]string{}, codeField: -1}
	c.window.delimiter, c.window.width = m.Header.Delimiter, len(m.Header.Names)
	c.batch = newBatchBuilder(Schema{})
	for i, field := range m.Fields {
		if field >= 0 && m.Schema.Columns[i].Kind == Number {
			column := newColumn(&m.Schema.Columns[i], &m.Header, field)
			probed := &probedColumn{numbers: *newNumbers(column, NumberStyle{}), probe: p}
			p.columns = append(p.columns, probed)
			c.reading = append(c.reading, probed)
		}
	}
	p.converter = c
	return p
}

// look goes over the rows of the right width; every says whether plain decimals are looked at too. What is broken ends
// it: the error is for the conversion to find.
func (p *probe) look(every bool) {
	p.every = every
	c := p.converter
	c.begin(p.chunk)
	for at := 0; at < len(p.chunk.Bytes) && len(c.reading) > 0; at = c.window.end {
		if c.window.cut(at) != nil {
			return
		}
		c.place()
		for _, column := range c.reading {
			for _, run := range c.window.runs {
				column.convert(&c.window, run)
			}
		}
	}
}

// convert implements cells: it looks at the cells of a run.
func (c *probedColumn) convert(w *window, r run) {
	c.values = extend(c.values[:0], r.rows)
	c.cells += int64(r.rows)
	f := w.fields(r, &c.column)
	if c.probe.every {
		for row := range r.rows {
			c.see(f, row)
		}
		return
	}
	w.over = w.over.Of(r.rows)
	kernel.Numbers(f, c.values, c.low, c.high, w.over)
	w.over.Each(func(row int) { c.see(f, row) })
}

// see takes in what a cell says.
func (c *probedColumn) see(f kernels.Fields, row int) {
	start, end := f.Cell(row)
	c.scratch = append(c.scratch[:0], unquote(f.Text[start:end], c.scratch)...)
	text, _ := trim(c.scratch)
	if len(text) == 0 || c.words.mean(text) {
		return
	}
	var room [64]byte
	sign, around := signOf(room[:0], text)
	if sign != signNone {
		if c.counts[sign] == 0 {
			c.first[sign] = int(start)
		}
		c.counts[sign]++
	}
	c.probe.european = c.probe.european || isEuropean(around.currency)
	if isDecimal(text) {
		if value := c.values[row]; !c.probe.every && (value < c.low || value > c.high) {
			c.outside++
		}
		return
	}
	c.probe.written = true
}

// The rest of cells is of no use to a probe, which keeps nothing.
func (c *probedColumn) remove(*window, []int) {}

func (c *probedColumn) reset(int) {}

// decide weighs what all cells say.
func (p *probe) decide(stated NumberStyle) (NumberStyle, error) {
	points, commas := p.sum(signPoint), p.sum(signComma)
	dotted, grouped := p.sum(signDotted), p.sum(signGrouped)
	european := p.european || p.converter.window.delimiter == ';'
	switch {
	case points > 0 && commas > 0 && p.mixed(points, commas):
		return stated, p.mixture(signPoint, signComma)
	case commas > points:
		stated.Decimal = ","
	case points == 0 && dotted > 0 && grouped > 0:
		return stated, p.mixture(signDotted, signGrouped)
	case european && p.onlyDotted() != nil:
		return stated, p.ambiguous(p.onlyDotted(), signDotted)
	case points > 0:
		stated.Decimal = "."
	case european && grouped > 0:
		return stated, p.ambiguous(p.first(signGrouped), signGrouped)
	}
	return stated, nil
}

func (p *probe) sum(sign numberSign) (n int64) {
	for _, c := range p.columns {
		n += c.counts[sign]
	}
	return n
}

// againstStyleMax is how many in a hundred numbers may be written against the style of the file, if more than one is.
const againstStyleMax = 1

// mixed says whether the rarer style is too frequent to be mistakes.
func (p *probe) mixed(points, commas int64) bool {
	rarer, n := signComma, commas
	if points < commas {
		rarer, n = signPoint, points
	}
	most := int64(0)
	for _, c := range p.columns {
		most = max(most, c.counts[rarer])
	}
	return 4*n > points+commas || most > 1 && 100*n > againstStyleMax*(points+commas)
}

// onlyDotted is the first column whose cells with a point could all be thousands; nil if there is none.
func (p *probe) onlyDotted() *probedColumn {
	for _, c := range p.columns {
		if c.counts[signDotted] > 0 && c.counts[signPoint] == 0 {
			return c
		}
	}
	return nil
}

// first is the column with the first cell that has a sign; nil if none has.
func (p *probe) first(sign numberSign) (column *probedColumn) {
	for _, c := range p.columns {
		if c.counts[sign] > 0 && (column == nil || c.first[sign] < column.first[sign]) {
			column = c
		}
	}
	return column
}

// example is the first cell of a column that has a sign.
func (p *probe) example(c *probedColumn, sign numberSign) (line int64, column, cell string) {
	first := c.first[sign]
	text, _ := cutField(p.chunk.Bytes[first:], p.converter.window.delimiter)
	if end := firstRowEnd(text); end >= 0 {
		text = trimCR(text[:end])
	}
	line = p.chunk.Line + int64(bytes.Count(p.chunk.Bytes[:first], []byte{'\n'}))
	return line, c.name, string(bytes.TrimSpace(unquote(text, nil)))
}

func (p *probe) mixture(one, other numberSign) error {
	e := &NumberStyleError{}
	e.Line, e.Column, e.Cell = p.example(p.first(one), one)
	e.OtherLine, e.OtherColumn, e.Other = p.example(p.first(other), other)
	return fmt.Errorf("decide number style: %w", e)
}

func (p *probe) ambiguous(c *probedColumn, sign numberSign) error {
	e := &NumberStyleError{}
	e.Line, e.Column, e.Cell = p.example(c, sign)
	point, _, _ := grammar{decimal: '.'}.read(nil, []byte(e.Cell))
	comma, _, _ := grammar{decimal: ','}.read(nil, []byte(e.Cell))
	e.AsPoint, e.AsComma = string(point), string(comma)
	return fmt.Errorf("decide number style: %w", e)
}
