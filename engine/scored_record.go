package engine

import (
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// scoredSchema is the schema of the record passed to block encoders: one row per scored row, in input order.
func scoredSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "_row", Type: arrow.PrimitiveTypes.Int64},
		{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "probability", Type: arrow.PrimitiveTypes.Float32},
		{Name: "risk_band", Type: arrow.PrimitiveTypes.Int16},
		{Name: "result_bytes", Type: arrow.PrimitiveTypes.Int32},
	}, nil)
}

// scoredRecord wraps the worker's results for a batch without copying. The record is valid until the worker continues.
// The caller must release it.
func (w *worker) scoredRecord(batch arrow.Record) arrow.Record {
	n := int(batch.NumRows())
	id := arrow.Array(nil)
	if w.bundle.idColumn >= 0 {
		id = batch.Column(firstSchemaColumn + w.bundle.idColumn)
		id.Retain()
	} else {
		id = array.MakeArrayOfNull(memory.DefaultAllocator, arrow.BinaryTypes.String, n)
	}
	defer id.Release()
	p := wrapArray(arrow.PrimitiveTypes.Float32, n, bytesOf(w.probabilities))
	defer p.Release()
	b := wrapArray(arrow.PrimitiveTypes.Int16, n, bytesOf(w.bands))
	defer b.Release()
	size := wrapArray(arrow.PrimitiveTypes.Int32, n, bytesOf(w.sizes))
	defer size.Release()
	return array.NewRecord(w.scored, []arrow.Array{batch.Column(0), id, p, b, size}, int64(n))
}

// wrapArray returns an array without nulls over memory that the caller owns.
func wrapArray(t arrow.DataType, n int, values []byte) arrow.Array {
	data := array.NewData(t, n, []*memory.Buffer{nil, memory.NewBufferBytes(values)}, nil, 0, 0)
	defer data.Release()
	return array.MakeFromData(data)
}

// bytesOf returns numbers as bytes, the form of Arrow buffers, without copying.
func bytesOf[T float32 | int16 | int32](values []T) []byte {
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
}
