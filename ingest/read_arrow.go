package ingest

import (
	"io"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// FromArrow gives the rows of an Arrow IPC stream as CSV text. Columns may hold text, numbers, true and false, dates
// and times, and dictionaries of them. Null and NaN are missing values. The error of what is no such stream is a
// [*FormatError].
func FromArrow(r io.Reader, limits Limits) io.Reader {
	limits = limits.withDefaults()
	a := &arrowRows{frames: &arrowFrames{in: r, limits: limits, left: limits.BytesMax}}
	if a.frames.left == 0 {
		a.frames.left = 1 << 40
	}
	return &rowEncoder{next: a.next}
}

type arrowRows struct {
	frames *arrowFrames
	reader *ipc.Reader
	cells  []func(dst []byte, row int) []byte // one a column of the batch
	batch  arrow.Record
	at     int
}

// arrowMemoryMax bounds what the library makes of a stream's messages: it copies every column that a description names,
// and a hostile one may name the same bytes again and again.
const arrowMemoryMax = 128 << 20

// boundedMemory implements memory.Allocator. Asking it for too much is a panic, as the interface knows no error.
type boundedMemory struct {
	memory.GoAllocator
	left int
}

// Allocate implements memory.Allocator.
func (b *boundedMemory) Allocate(size int) []byte {
	if size < 0 || size > b.left {
		panic("more memory than is allowed")
	}
	b.left -= size
	return b.GoAllocator.Allocate(size)
}

// Reallocate implements memory.Allocator.
func (b *boundedMemory) Reallocate(size int, buf []byte) []byte {
	if size < 0 || size-len(buf) > b.left {
		panic("more memory than is allowed")
	}
	b.left -= size - len(buf)
	return b.GoAllocator.Reallocate(size, buf)
}

// Free implements memory.Allocator.
func (b *boundedMemory) Free(buf []byte) { b.left += len(buf) }

// rowsAtOnce is how many rows become text before it is handed out.
const rowsAtOnce = 64

// next appends some rows. The library panics over streams that contradict themselves.
func (a *arrowRows) next(dst []byte) (_ []byte, err error) {
	defer func() {
		if recover() != nil {
			err = arrowFault("its data contradicts its description")
		}
	}()
	if a.reader == nil {
		return a.open(dst)
	}
	if a.batch == nil || a.at == int(a.batch.NumRows()) {
		if err := a.advance(); err != nil {
			return dst, err
		}
	}
	for end := min(a.at+rowsAtOnce, int(a.batch.NumRows())); a.at < end; a.at++ {
		start := len(dst)
		for i, cell := range a.cells {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = cell(dst, a.at)
		}
		dst = endRow(dst, start)
	}
	return dst, nil
}

// open reads the schema and appends the header.
func (a *arrowRows) open(dst []byte) ([]byte, error) {
	reader, err := ipc.NewReaderFromMessageReader(a.frames, ipc.WithAllocator(&boundedMemory{left: arrowMemoryMax}))
	if err != nil {
		return dst, a.blame("the schema cannot be read")
	}
	a.reader = reader
	var names []string
	for _, field := range reader.Schema().Fields() {
		if !supported(field.Type) {
			return dst, &FormatError{
				Format: "Arrow", Column: field.Name,
				Problem: "the column type " + field.Type.ID().String() + " is not supported",
			}
		}
		names = append(names, field.Name)
	}
	if len(names) == 0 {
		return dst, arrowFault("the schema has no columns")
	}
	return appendNames(dst, names), nil
}

// advance goes to the next batch that has rows.
func (a *arrowRows) advance() error {
	for a.reader.Next() {
		a.batch, a.at = a.reader.Record(), 0
		if a.batch.NumRows() == 0 {
			continue
		}
		a.cells = a.cells[:0]
		for _, column := range a.batch.Columns() {
			if int64(column.Len()) != a.batch.NumRows() {
				return arrowFault("its data contradicts its description")
			}
			a.cells = append(a.cells, cellsOf(column))
		}
		return nil
	}
	if a.reader.Err() != nil || a.frames.err != nil {
		return a.blame("its data contradicts its description")
	}
	return io.EOF
}

// blame prefers what the frames know to what the library says, whose texts may quote the data.
func (a *arrowRows) blame(problem string) error {
	if a.frames.err != nil {
		return a.frames.err
	}
	return arrowFault(problem)
}

func supported(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.NULL, arrow.BOOL, arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT8, arrow.UINT16, arrow.UINT32,
		arrow.UINT64, arrow.FLOAT32, arrow.FLOAT64, arrow.STRING, arrow.LARGE_STRING, arrow.DATE32, arrow.DATE64,
		arrow.TIMESTAMP, arrow.DECIMAL128:
		return true
	case arrow.DICTIONARY:
		value := t.(*arrow.DictionaryType).ValueType
		return value.ID() != arrow.DICTIONARY && supported(value)
	}
	return false
}

// cellsOf gives the function that appends a column's cells. Null is the empty cell.
func cellsOf(column arrow.Array) func(dst []byte, row int) []byte {
	value := valuesOf(column)
	return func(dst []byte, row int) []byte {
		if column.IsNull(row) {
			return dst
		}
		return value(dst, row)
	}
}

func valuesOf(column arrow.Array) func(dst []byte, row int) []byte {
	switch c := column.(type) {
	case *array.String:
		return func(dst []byte, row int) []byte { return appendText(dst, []byte(c.Value(row))) }
	case *array.LargeString:
		return func(dst []byte, row int) []byte { return appendText(dst, []byte(c.Value(row))) }
	case *array.Float64:
		return func(dst []byte, row int) []byte { return appendFloat(dst, c.Value(row)) }
	case *array.Float32: // widened: the number that the bits mean, not the shorter one that rounds to them
		return func(dst []byte, row int) []byte { return appendFloat(dst, float64(c.Value(row))) }
	case *array.Int64:
		return func(dst []byte, row int) []byte { return strconv.AppendInt(dst, c.Value(row), 10) }
	case *array.Null:
		return func(dst []byte, _ int) []byte { return dst }
	case *array.Dictionary:
		value := cellsOf(c.Dictionary())
		return func(dst []byte, row int) []byte { return value(dst, c.GetValueIndex(row)) }
	}
	return func(dst []byte, row int) []byte { return appendText(dst, []byte(column.ValueStr(row))) }
}

// appendFloat writes the shortest decimal that reads back as the same bits; NaN is a missing value.
func appendFloat(dst []byte, v float64) []byte {
	if v != v {
		return dst
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}
