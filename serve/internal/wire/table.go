package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/retainwise/millrace/ingest"
)

// Results and rejects are stored as CSV. Other formats are converted from it row by row while they are sent: a customer's
// columns as text, and the columns that scoring adds with their types. The guard's apostrophes are for spreadsheets, so
// other formats do not have them.

// cellKind is the type of a column.
type cellKind uint8

const (
	cellText cellKind = iota
	cellInteger
	cellFloat // float32
	cellJSON
)

// TableColumn is a column of a table: its name and type.
type TableColumn struct {
	name string
	kind cellKind
}

// Columns that scoring adds behind the customer's.
var (
	// ResultColumns are those of results.
	ResultColumns = []TableColumn{
		{ingest.ProbabilityColumn, cellFloat},
		{ingest.BandColumn, cellText},
		{ingest.RiskColumn, cellJSON},
		{ingest.ProtectiveColumn, cellJSON},
		{ingest.ExplanationColumn, cellText},
	}
	// RejectColumns are those of rejects.
	RejectColumns = []TableColumn{
		{"_row", cellInteger}, {"_line", cellInteger}, {"_code", cellText}, {"_column", cellText}, {"_reason", cellText},
	}
)

// TableWriter writes rows in a format. Close writes the end of the table; it does not close the writer below.
type TableWriter interface {
	// Write writes a row. A nil cell has no value. The cells are not retained.
	Write(cells [][]byte) error
	Close() error
}

// NewTableWriter returns a writer of [FormatArrow] or [FormatLines].
func NewTableWriter(w io.Writer, format string, columns []TableColumn) TableWriter {
	if format == FormatArrow {
		return newArrowTable(w, columns)
	}
	return NewJSONTable(w, columns, "", "\n", "")
}

// StoredTable is a stored result or rejects file.
type StoredTable struct {
	Text    io.Reader
	Own     []TableColumn // its last columns, which scoring added
	Guarded bool          // it was written with the guard against formulas
}

// Open returns the rows of the table, without what the guard added, and all columns; names of the customer's columns are
// made unique.
func (t StoredTable) Open() (*ingest.Rows, []TableColumn, error) {
	rows, err := ingest.NewRows(t.Text, ingest.Limits{RowBytesMax: 64 << 20, ColumnsMax: 1 << 16, ChunkBytes: 256 << 10})
	if err != nil {
		return nil, nil, err
	}
	if t.Guarded {
		rows.Unguard()
	}
	theirs := len(rows.Header.Names) - len(t.Own)
	if theirs < 0 {
		return nil, nil, fmt.Errorf("stored table has %d columns", len(rows.Header.Names))
	}
	return rows, append(customerColumns(rows.Header.Names[:theirs]), t.Own...), nil
}

// customerColumns makes the customer's names unique, and distinct from the columns that scoring adds.
func customerColumns(names []string) []TableColumn {
	taken := map[string]bool{}
	for _, own := range [][]TableColumn{ResultColumns, RejectColumns} {
		for _, c := range own {
			taken[c.name] = true
		}
	}
	var columns []TableColumn
	for _, name := range names {
		free := name
		for n := 2; taken[free]; n++ {
			free = name + "_" + strconv.Itoa(n)
		}
		taken[free] = true
		columns = append(columns, TableColumn{name: free})
	}
	return columns
}

// Convert writes the table in a format.
func (t StoredTable) Convert(w io.Writer, format string) error {
	rows, columns, err := t.Open()
	if err != nil {
		return err
	}
	table := NewTableWriter(w, format, columns)
	for {
		cells, err := rows.Next()
		if err == io.EOF {
			return table.Close()
		}
		if err != nil {
			return err
		}
		if len(cells) != len(columns) {
			return fmt.Errorf("stored table: row of %d cells", len(cells))
		}
		if err := table.Write(cells); err != nil {
			return err
		}
	}
}

// jsonTable writes rows as JSON objects.
type jsonTable struct {
	w          io.Writer
	columns    []TableColumn
	names      [][]byte // encoded, with the colon
	buf        []byte
	separator  string
	end        string
	rows       int
	terminated bool // every row, the last too, is followed by the separator
}

// NewJSONTable returns a writer of JSON objects: begin before the first row, separator between rows, and end after the
// last. With an empty end every row is terminated by the separator.
func NewJSONTable(w io.Writer, columns []TableColumn, begin, separator, end string) *jsonTable {
	t := &jsonTable{
		w: w, columns: columns, buf: []byte(begin), separator: separator, end: end, terminated: end == "",
	}
	for _, c := range columns {
		t.names = append(t.names, append(appendJSONText(nil, []byte(c.name)), ':'))
	}
	return t
}

func (t *jsonTable) Write(cells [][]byte) error {
	if t.rows > 0 && !t.terminated {
		t.buf = append(t.buf, t.separator...)
	}
	t.rows++
	t.buf = append(t.buf, '{')
	first := true
	for i, cell := range cells {
		if cell == nil {
			continue
		}
		if !first {
			t.buf = append(t.buf, ',')
		}
		first = false
		t.buf = append(t.buf, t.names[i]...)
		switch {
		case t.columns[i].kind == cellText:
			t.buf = appendJSONText(t.buf, cell)
		case len(cell) == 0:
			t.buf = append(t.buf, "null"...)
		default:
			t.buf = append(t.buf, cell...)
		}
	}
	t.buf = append(t.buf, '}')
	if t.terminated {
		t.buf = append(t.buf, t.separator...)
	}
	if len(t.buf) < CopyBytes {
		return nil
	}
	return t.flush()
}

func (t *jsonTable) flush() error {
	_, err := t.w.Write(t.buf)
	t.buf = t.buf[:0]
	return err
}

func (t *jsonTable) Close() error {
	t.buf = append(t.buf, t.end...)
	return t.flush()
}

// appendJSONText appends a JSON string. Invalid UTF-8, which rejected rows may have, becomes U+FFFD.
func appendJSONText(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for len(text) > 0 {
		switch b := text[0]; {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		case b < utf8.RuneSelf:
			dst = append(dst, b)
		default:
			r, size := utf8.DecodeRune(text)
			dst = utf8.AppendRune(dst, r)
			text = text[size:]
			continue
		}
		text = text[1:]
	}
	return append(dst, '"')
}

// Rows and bytes of an Arrow batch.
const (
	arrowRowsMax  = 4096
	arrowBytesMax = 4 << 20
)

// arrowTable writes an Arrow IPC stream.
type arrowTable struct {
	columns []TableColumn
	builder *array.RecordBuilder
	writer  *ipc.Writer
	rows    int
	bytes   int
}

func newArrowTable(w io.Writer, columns []TableColumn) *arrowTable {
	var fields []arrow.Field
	types := map[cellKind]arrow.DataType{
		cellText: arrow.BinaryTypes.String, cellJSON: arrow.BinaryTypes.String,
		cellInteger: arrow.PrimitiveTypes.Int64, cellFloat: arrow.PrimitiveTypes.Float32,
	}
	for _, c := range columns {
		fields = append(fields, arrow.Field{Name: c.name, Type: types[c.kind], Nullable: true})
	}
	schema := arrow.NewSchema(fields, nil)
	return &arrowTable{
		columns: columns, builder: array.NewRecordBuilder(memory.NewGoAllocator(), schema),
		writer: ipc.NewWriter(w, ipc.WithSchema(schema)),
	}
}

func (t *arrowTable) Write(cells [][]byte) error {
	for i, cell := range cells {
		t.bytes += len(cell)
		if cell == nil || len(cell) == 0 && t.columns[i].kind != cellText {
			t.builder.Field(i).AppendNull()
			continue
		}
		if err := appendArrow(t.builder.Field(i), t.columns[i].kind, cell); err != nil {
			return err
		}
	}
	if t.rows++; t.rows < arrowRowsMax && t.bytes < arrowBytesMax {
		return nil
	}
	return t.flush()
}

func appendArrow(to array.Builder, kind cellKind, cell []byte) error {
	switch kind {
	case cellInteger:
		n, err := strconv.ParseInt(string(cell), 10, 64)
		to.(*array.Int64Builder).Append(n)
		return err
	case cellFloat:
		v, err := strconv.ParseFloat(string(cell), 32)
		to.(*array.Float32Builder).Append(float32(v))
		return err
	}
	if !utf8.Valid(cell) { // Arrow strings must be UTF-8; only rejected rows have other bytes
		cell = []byte(string([]rune(string(cell))))
	}
	to.(*array.StringBuilder).Append(string(cell))
	return nil
}

func (t *arrowTable) flush() error {
	record := t.builder.NewRecord()
	defer record.Release()
	t.rows, t.bytes = 0, 0
	return t.writer.Write(record)
}

func (t *arrowTable) Close() error {
	defer t.builder.Release()
	if t.rows > 0 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return t.writer.Close()
}

// CompactJSON encodes an object without its closing brace, so that more can follow.
func CompactJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil || len(text) < 2 {
		return "", err
	}
	return string(text[:len(text)-1]), nil
}

// CopyBytes is the size of buffers for copying.
const CopyBytes = 64 << 10

// Formats of tables.
const (
	FormatCSV   = "csv"
	FormatJSON  = "json"
	FormatLines = "jsonl"
	FormatArrow = "arrow"
)

// Media types of tables.
const (
	TypeArrow = "application/vnd.apache.arrow.stream"
	TypeLines = "application/x-ndjson"
)
