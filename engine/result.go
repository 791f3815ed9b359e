package engine

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// resultEncoder writes the rows of the result file: the customer's bytes unchanged, then the result columns. The bytes
// depend only on the input, the bundle and the options.
type resultEncoder struct {
	mapping   ingest.Mapping
	delimiter byte
	header    []byte   // empty if the result has no header line
	bands     [][]byte // encoded band names
	guards    bool     // the result columns need the guard too
	guarded   []byte   // scratch for them
	cell      []byte   // scratch for a cell that may need quotes
}

func newResultEncoder(m ingest.Mapping, b *Bundle, withHeader bool) resultEncoder {
	e := resultEncoder{mapping: m, delimiter: m.Header.Delimiter, guards: m.Guard && b.file.hasFormulas()}
	for _, band := range b.bands {
		e.bands = append(e.bands, appendCell(nil, []byte(band.Name), e.delimiter))
	}
	if withHeader {
		e.header = m.AppendHeader(e.header)
		for _, name := range [...]string{
			ingest.ProbabilityColumn, ingest.BandColumn,
			ingest.RiskColumn, ingest.ProtectiveColumn, ingest.ExplanationColumn,
		} {
			e.header = append(append(e.header, e.delimiter), name...)
		}
		e.header = append(e.header, '\n')
	}
	return e
}

// sizeSampleRows is the number of rows from which the size of the others is estimated.
const sizeSampleRows = 64

// append appends the scored rows of a chunk to dst, after the header line if it is the first chunk. It stores the size
// of each row in w.sizes.
func (e *resultEncoder) append(dst []byte, seq int, chunk ingest.Chunk, batch *ingest.Batch, w *worker) []byte {
	if seq == 0 {
		dst = append(dst, e.header...)
	}
	start := batch.Record.Column(1).(*array.Int32).Int32Values()
	length := batch.Record.Column(2).(*array.Int32).Int32Values()
	formulas, first := batch.Formulas, len(dst)
	w.sizes = grow(w.sizes, len(start))
	for i := range start {
		if i == sizeSampleRows { // estimated once, as growing step by step would copy the rows repeatedly
			dst = slices.Grow(dst, (len(dst)-first)/sizeSampleRows*(len(start)-i)*9/8)
		}
		if i%yieldRows == 0 {
			w.throttle.yield()
		}
		begin := len(dst)
		for len(formulas) > 0 && formulas[0] < start[i] { // of the previous row, or of a rejected one
			formulas = formulas[1:]
		}
		row := chunk.Bytes[start[i] : start[i]+length[i]]
		if len(formulas) > 0 && formulas[0] < start[i]+length[i] {
			dst = e.mapping.AppendGuardedRow(dst, row)
		} else {
			dst = e.mapping.AppendRow(dst, row)
		}
		own := len(dst)
		dst = append(dst, e.delimiter)
		dst = appendProbability(dst, w.probabilities[i])
		dst = append(dst, e.delimiter)
		dst = append(dst, e.bands[w.bands[i]]...)
		dst = e.appendExplanation(dst, i, w)
		if e.guards {
			e.guarded = append(e.guarded[:0], dst[own:]...)
			dst = ingest.AppendGuarded(dst[:own], e.guarded, e.delimiter)
		}
		dst = append(dst, '\n')
		w.sizes[i] = int32(len(dst) - begin)
	}
	return dst
}

// appendExplanation appends the three cells of an explanation; they are empty if the row is not explained.
func (e *resultEncoder) appendExplanation(dst []byte, row int, w *worker) []byte {
	if w.explain == nil || !w.explain.wants(w.bands[row]) {
		return append(dst, e.delimiter, e.delimiter, e.delimiter)
	}
	narrator := w.explain.narrate(row, w.raw[row], w.probabilities[row], w.bundle.bands[w.bands[row]].Name)
	dst = narrator.AppendRiskCell(append(dst, e.delimiter))
	dst = narrator.AppendProtectiveCell(append(dst, e.delimiter))
	dst = append(dst, e.delimiter, '"')
	at := len(dst)
	return e.closeCell(narrator.AppendExplanation(dst), at)
}

// closeCell ends a cell that began with a quote, which is the byte before at, and removes that quote if the cell needs
// none.
func (e *resultEncoder) closeCell(dst []byte, at int) []byte {
	cell := dst[at:]
	switch {
	case bytes.IndexByte(cell, '"') >= 0:
		e.cell = append(e.cell[:0], cell...)
		return appendCell(dst[:at-1], e.cell, e.delimiter)
	case needsQuotes(cell, e.delimiter):
		return append(dst, '"')
	}
	return append(dst[:at-1], cell...)
}

// appendProbability appends the shortest decimal that parses to the same float32, which PostgreSQL's real stores
// exactly.
func appendProbability(dst []byte, p float32) []byte {
	return strconv.AppendFloat(dst, float64(p), 'f', -1, 32)
}

// appendCell appends a cell by RFC 4180: in quotes if it holds a delimiter, a quote or a line break; and if it holds a
// semicolon, at which some spreadsheets cut whatever the delimiter is.
func appendCell(dst, cell []byte, delimiter byte) []byte {
	if !needsQuotes(cell, delimiter) && bytes.IndexByte(cell, '"') < 0 {
		return append(dst, cell...)
	}
	dst = append(dst, '"')
	for {
		i := bytes.IndexByte(cell, '"')
		if i < 0 {
			break
		}
		dst = append(append(dst, cell[:i+1]...), '"')
		cell = cell[i+1:]
	}
	return append(append(dst, cell...), '"')
}

// needsQuotes reports whether a cell without quotes inside must be quoted.
func needsQuotes(cell []byte, delimiter byte) bool {
	return bytes.IndexByte(cell, delimiter) >= 0 || bytes.IndexByte(cell, ';') >= 0 ||
		bytes.IndexByte(cell, '\n') >= 0 || bytes.IndexByte(cell, '\r') >= 0
}

// rejectEncoder writes the rows of the rejects file.
type rejectEncoder struct {
	mapping    ingest.Mapping
	withHeader bool
}

func (e *rejectEncoder) append(dst []byte, seq int, chunk ingest.Chunk, rejects []ingest.Reject) []byte {
	if seq == 0 && e.withHeader {
		dst = e.mapping.AppendRejectHeader(dst)
	}
	for _, r := range rejects {
		dst = e.mapping.AppendReject(dst, chunk, r)
	}
	return dst
}

// AppendHeaders appends the header lines of the result file and of the rejects file for input with header h. The first
// part of a file begins with them.
func AppendHeaders(
	result, rejects []byte, h ingest.Header, b *Bundle, opt Options,
) (resultOut, rejectsOut []byte, err error) {
	m, err := ingest.Map(b.schema, h)
	if err != nil {
		return result, rejects, err
	}
	m.Guard = !opt.Unguarded
	e := newResultEncoder(m, b, true)
	return append(result, e.header...), m.AppendRejectHeader(rejects), nil
}
