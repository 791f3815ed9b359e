package ingest

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Arrow is the container of a batch: it wraps memory that the converter owns. Nothing else of the package calls it.

// batchBuilder wraps a converter's columns as a record.
type batchBuilder struct {
	schema       *arrow.Schema
	dictionaries []arrow.ArrayData // one a Category column, in the order of the schema; else nil
	last         arrow.Record
	valid        [][]byte // bitmaps, one a column of the schema
}

func newBatchBuilder(s Schema) *batchBuilder {
	b := &batchBuilder{
		dictionaries: make([]arrow.ArrayData, len(s.Columns)),
		valid:        make([][]byte, len(s.Columns)),
	}
	fields := []arrow.Field{
		{Name: RowColumn, Type: arrow.PrimitiveTypes.Int64},
		{Name: StartColumn, Type: arrow.PrimitiveTypes.Int32},
		{Name: LengthColumn, Type: arrow.PrimitiveTypes.Int32},
	}
	for i, column := range s.Columns {
		if column.Kind == Category {
			b.dictionaries[i] = dictionaryOf(column.Categories)
		}
		fields = append(fields, arrow.Field{Name: column.Name, Type: arrowType(column.Kind), Nullable: true})
	}
	b.schema = arrow.NewSchema(fields, nil)
	return b
}

func arrowType(kind Kind) arrow.DataType {
	switch kind {
	case Number:
		return arrow.PrimitiveTypes.Float64
	case Category:
		return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint16, ValueType: arrow.BinaryTypes.String}
	default:
		return arrow.BinaryTypes.String
	}
}

func dictionaryOf(values []string) arrow.ArrayData {
	builder := array.NewStringBuilder(memory.DefaultAllocator)
	defer builder.Release()
	builder.AppendValues(values, nil)
	return builder.NewStringArray().Data()
}

// record wraps the columns. It stays with the builder, which releases it with the next one.
func (b *batchBuilder) record(fixed *fixedColumns, all []cells) arrow.Record {
	rows := len(fixed.rows)
	arrays := []arrow.Array{
		array.NewInt64Data(wrap(arrow.PrimitiveTypes.Int64, rows, 0, nil, arrow.Int64Traits.CastToBytes(fixed.rows))),
		array.NewInt32Data(wrap(arrow.PrimitiveTypes.Int32, rows, 0, nil, arrow.Int32Traits.CastToBytes(fixed.starts))),
		array.NewInt32Data(wrap(arrow.PrimitiveTypes.Int32, rows, 0, nil, arrow.Int32Traits.CastToBytes(fixed.lengths))),
	}
	for i, column := range all {
		arrays = append(arrays, b.array(i, column, rows))
	}
	b.last = array.NewRecord(b.schema, arrays, int64(rows))
	for _, a := range arrays {
		a.Release()
	}
	return b.last
}

// release gives the last record up.
func (b *batchBuilder) release() {
	if b.last != nil {
		b.last.Release()
		b.last = nil
	}
}

func (b *batchBuilder) array(i int, filled cells, rows int) arrow.Array {
	kind := b.schema.Field(i + 3).Type
	switch c := filled.(type) {
	case *numbers:
		valid, nulls := b.bitmap(i, rows, c.nulls(), func(row int) bool { return !math.IsNaN(c.values[row]) })
		return array.NewFloat64Data(wrap(kind, rows, nulls, valid, arrow.Float64Traits.CastToBytes(c.values)))
	case *categories:
		valid, nulls := b.bitmap(i, rows, c.nulls(), func(row int) bool { return c.codes[row] < c.missing })
		codes := memory.NewBufferBytes(arrow.Uint16Traits.CastToBytes(c.codes))
		data := array.NewDataWithDictionary(kind, rows, []*memory.Buffer{valid, codes}, nulls, 0,
			b.dictionaries[i].(*array.Data))
		defer data.Release()
		return array.NewDictionaryData(data)
	case *texts:
		valid, nulls := b.bitmap(i, rows, c.nulls(), func(row int) bool { return c.offsets[row] < c.offsets[row+1] })
		return array.NewStringData(wrap(kind, rows, nulls, valid, arrow.Int32Traits.CastToBytes(c.offsets), c.bytes))
	}
	panic("column of an unknown kind")
}

// wrap makes an array of buffers that the converter owns.
func wrap(kind arrow.DataType, rows, nulls int, valid *memory.Buffer, buffers ...[]byte) *array.Data {
	all := []*memory.Buffer{valid}
	for _, buffer := range buffers {
		all = append(all, memory.NewBufferBytes(buffer))
	}
	return array.NewData(kind, rows, all, nil, nulls, 0)
}

// bitmap is nil for a column without nulls, which saves a pass over it.
func (b *batchBuilder) bitmap(i, rows, nulls int, valid func(row int) bool) (*memory.Buffer, int) {
	if nulls == 0 {
		return nil, 0
	}
	bitmap := extend(b.valid[i][:0], (rows+7)/8)
	clear(bitmap)
	for row := range rows {
		if valid(row) {
			bitmap[row/8] |= 1 << (row % 8)
		}
	}
	b.valid[i] = bitmap
	return memory.NewBufferBytes(bitmap), nulls
}
