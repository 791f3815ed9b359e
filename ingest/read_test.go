package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/retainwise/millrace/ingest"
)

// outcome is everything that a file became.
type outcome struct {
	rows     []string // "number:cell|cell|…", a missing cell is ∅ and an unknown category ?
	raw      []string // the rows' bytes
	rejects  []string // "row/line code column"
	warnings map[string]int64
	read     int64 // rows as the chunker counted them
	lines    int64
	out      string // rejects file
	err      error
}

// read takes a file all the way. The reader is what wrap makes of the text.
func read(file string, s ingest.Schema, limits ingest.Limits, wrap func(io.Reader) io.Reader) outcome {
	var r io.Reader = strings.NewReader(file)
	if wrap != nil {
		r = wrap(r)
	}
	o := outcome{warnings: map[string]int64{}}
	header, body, err := ingest.ReadHeader(r, limits)
	if err != nil {
		o.err = err
		return o
	}
	mapping, err := ingest.Map(s, header)
	if err != nil {
		o.err = err
		return o
	}
	o.out = string(mapping.AppendRejectHeader(nil))
	o.body(body, header, mapping, limits)
	return o
}

func (o *outcome) body(body io.Reader, header ingest.Header, m ingest.Mapping, limits ingest.Limits) {
	chunker := ingest.NewChunker(body, header.Delimiter, header.Start(), limits)
	converter := ingest.NewConverter(m, limits)
	var buf []byte
	for {
		chunk, err := chunker.Next(buf)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				o.err = err
			}
			return
		}
		batch, err := converter.Convert(chunk)
		if err != nil {
			o.err = err
			return
		}
		o.take(m, chunk, batch)
		buf = chunk.Bytes[:0]
	}
}

func (o *outcome) take(m ingest.Mapping, chunk ingest.Chunk, batch ingest.Batch) {
	record := batch.Record
	o.read += chunk.Rows
	o.lines += chunk.Lines
	if got := record.NumRows() + int64(len(batch.Rejects)); got != chunk.Rows {
		o.err = fmt.Errorf("%d rows read, but %d scored or rejected", chunk.Rows, got)
	}
	starts, lengths := record.Column(1).(*array.Int32), record.Column(2).(*array.Int32)
	for i := range int(record.NumRows()) {
		cells := make([]string, 0, 8)
		for c := 3; c < int(record.NumCols()); c++ {
			cells = append(cells, cellText(record.Column(c), i))
		}
		o.rows = append(o.rows, fmt.Sprintf("%d:%s", record.Column(0).(*array.Int64).Value(i), strings.Join(cells, "|")))
		start := starts.Value(i)
		o.raw = append(o.raw, string(chunk.Bytes[start:start+lengths.Value(i)]))
	}
	for _, r := range batch.Rejects {
		o.rejects = append(o.rejects, strings.TrimSpace(fmt.Sprintf("%d/%d %s %s", r.Row, r.Line, r.Reason.Code(), r.Column)))
		o.out = string(m.AppendReject([]byte(o.out), chunk, r))
	}
	for _, w := range batch.Warnings {
		o.warnings[w.Reason.Code()+" "+w.Column] += w.Count
	}
}

func cellText(column interface{ IsNull(int) bool }, i int) string {
	switch c := column.(type) {
	case *array.Float64:
		if c.IsNull(i) {
			return "∅"
		}
		return strconv.FormatFloat(c.Value(i), 'g', -1, 64)
	case *array.Dictionary:
		known := c.Dictionary().(*array.String)
		code := c.Indices().(*array.Uint16).Value(i)
		switch {
		case int(code) == known.Len() && c.IsNull(i):
			return "∅"
		case int(code) == known.Len()+1 && c.IsNull(i):
			return "?"
		case c.IsNull(i):
			return "null with a code"
		}
		return known.Value(int(code))
	case *array.String:
		if c.IsNull(i) {
			return "∅"
		}
		return c.Value(i)
	}
	return "column of another kind"
}

// texts is a schema of Text columns.
func texts(names ...string) ingest.Schema {
	var s ingest.Schema
	for _, name := range names {
		s.Columns = append(s.Columns, ingest.Column{Name: name, Kind: ingest.Text})
	}
	return s
}

func equalLists(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d %q, want %d %q", what, len(got), got, len(want), want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s %d: got %q, want %q", what, i, got[i], want[i])
		}
	}
}
