// Package tuple encodes scored rows as tuples of PostgreSQL's binary COPY format, and decodes stored blocks.
package tuple

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// A block is one tuple of prediction_blocks. In the binary format of COPY it is the number of fields, then each field
// as length and big-endian bytes. An array is: dimensions (1, or 0 if it is empty), whether it has nulls, type of the
// elements, their number, first index (1), then each element as length and bytes.
//
// The server reads an array element by element, which is most of what a COPY costs. So ids are one text and bands are
// bytes.
const (
	BlockRowsMax = 1000 // rows of a block
	blockFields  = 11

	// idSeparator stands between the ids of a block, and nothing stands for an id that a row lacks. An id that holds
	// it, or is empty, puts the ids of its block into an array.
	idSeparator = '\x1f'

	oidInt2, oidInt4, oidText, oidFloat4 = 21, 23, 25, 700
)

// bandsMax bounds the risk bands, which index a small array of counts.
const bandsMax = 64

// BlockEncoder turns scored batches into blocks of 1,000 rows in PostgreSQL's binary COPY format. It is made for one
// prediction and may be used by one goroutine at a time.
type BlockEncoder struct {
	prediction uint64
	bands      [bandsMax]uint16
}

// NewBlockEncoder makes an encoder for the blocks of a prediction, named by its internal id.
func NewBlockEncoder(predictionID int64) *BlockEncoder {
	return &BlockEncoder{prediction: uint64(predictionID)}
}

// scored is a batch as plain slices.
type scored struct {
	row         []int64
	probability []float32
	band        []int16
	id          *array.String
	bytes       []int32
}

// AppendBlocks appends the tuples of a batch to dst. The batch has the columns _row (int64, ascending, gaps where rows
// were rejected), id (utf8, may be null), probability (float32), risk_band (int16, 0 to 63) and result_bytes (int32, of
// the row in the result file). Blocks never span two batches, so the last one of a batch may be short. What was
// appended does not refer to the batch.
func (e *BlockEncoder) AppendBlocks(dst []byte, batch arrow.Record) ([]byte, error) {
	s, err := columnsOf(batch)
	if err != nil {
		return dst, fmt.Errorf("encode blocks: %w", err)
	}
	for from := 0; from < len(s.row); from += BlockRowsMax {
		to := min(from+BlockRowsMax, len(s.row))
		if dst, err = e.appendBlock(dst, s, from, to); err != nil {
			return dst, fmt.Errorf("encode blocks: %w", err)
		}
	}
	return dst, nil
}

func columnsOf(batch arrow.Record) (scored, error) {
	row, err1 := column[*array.Int64](batch, "_row")
	id, err2 := column[*array.String](batch, "id")
	probability, err3 := column[*array.Float32](batch, "probability")
	band, err4 := column[*array.Int16](batch, "risk_band")
	size, err5 := column[*array.Int32](batch, "result_bytes")
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return scored{}, err
		}
	}
	return scored{row.Int64Values(), probability.Float32Values(), band.Int16Values(), id, size.Int32Values()}, nil
}

func column[T arrow.Array](batch arrow.Record, name string) (T, error) {
	var none T
	at := batch.Schema().FieldIndices(name)
	if len(at) != 1 {
		return none, fmt.Errorf("column %s: %d times in the batch", name, len(at))
	}
	c, ok := batch.Column(at[0]).(T)
	if !ok {
		return none, fmt.Errorf("column %s: type %s", name, batch.Column(at[0]).DataType())
	}
	return c, nil
}

func (e *BlockEncoder) appendBlock(dst []byte, s scored, from, to int) ([]byte, error) {
	n := to - from
	row := s.row[from:to]
	first, last := row[0], row[n-1]
	if first < 0 || last > math.MaxInt32 {
		return dst, fmt.Errorf("rows %d to %d: outside the range of a row number", first, last)
	}
	bands, err := e.countBands(s.band[from:to])
	if err != nil {
		return dst, fmt.Errorf("rows %d to %d: %w", first, last, err)
	}
	be := binary.BigEndian
	dst = be.AppendUint16(dst, blockFields)
	dst = be.AppendUint32(dst, 8)
	dst = be.AppendUint64(dst, e.prediction)
	dst = be.AppendUint32(dst, 4)
	dst = be.AppendUint32(dst, uint32(first))
	dst = be.AppendUint32(dst, 2)
	dst = be.AppendUint16(dst, uint16(n))
	if dst, err = appendRowOffsets(dst, row); err != nil {
		return dst, err
	}
	dst = appendIDs(dst, s.id, from, to)
	dst = appendFloats(dst, s.probability[from:to])
	dst = appendBands(dst, s.band[from:to])
	return appendRowStarts(appendShorts(dst, bands), s.bytes[from:to]), nil
}

// countBands counts rows per band, up to the highest band that occurs.
func (e *BlockEncoder) countBands(band []int16) ([]uint16, error) {
	clear(e.bands[:])
	top := int16(0)
	for _, b := range band {
		if b < 0 || b >= bandsMax {
			return nil, fmt.Errorf("risk band %d: outside 0 to %d", b, bandsMax-1)
		}
		e.bands[b]++
		top = max(top, b)
	}
	return e.bands[:top+1], nil
}

// appendArrayHead writes the head of a field that is an array without nulls whose elements have width bytes each.
func appendArrayHead(dst []byte, oid uint32, n, width int) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, uint32(20+n*(4+width)))
	return appendDimension(dst, 0, oid, n)
}

func appendDimension(dst []byte, nulls, oid uint32, n int) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, 1)
	dst = be.AppendUint32(dst, nulls)
	dst = be.AppendUint32(dst, oid)
	dst = be.AppendUint32(dst, uint32(n))
	return be.AppendUint32(dst, 1)
}

// appendRowOffsets writes NULL if the rows have no gaps.
func appendRowOffsets(dst []byte, row []int64) ([]byte, error) {
	gaps := false
	for i, r := range row[1:] {
		if r <= row[i] {
			return dst, fmt.Errorf("row %d behind row %d: not ascending", r, row[i])
		}
		gaps = gaps || r != row[i]+1
	}
	if !gaps {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32), nil
	}
	dst = appendArrayHead(dst, oidInt4, len(row), 4)
	for _, r := range row {
		dst = binary.BigEndian.AppendUint64(dst, 4<<32|uint64(r-row[0]))
	}
	return dst, nil
}

// appendRowStarts writes two fields: how many bytes rows of these sizes take, and where each of them begins.
func appendRowStarts(dst []byte, sizes []int32) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, 4)
	total := len(dst)
	dst = be.AppendUint32(dst, 0) // known at the end
	dst = be.AppendUint32(dst, uint32(4*(len(sizes)+1)))
	at := uint32(0)
	for _, size := range sizes {
		dst = be.AppendUint32(dst, at)
		at += uint32(size)
	}
	be.PutUint32(dst[total:], at)
	return be.AppendUint32(dst, at)
}

func appendFloats(dst []byte, values []float32) []byte {
	dst = appendArrayHead(dst, oidFloat4, len(values), 4)
	for _, v := range values {
		dst = binary.BigEndian.AppendUint64(dst, 4<<32|uint64(math.Float32bits(v)))
	}
	return dst
}

func appendShorts[T int16 | uint16](dst []byte, values []T) []byte {
	dst = appendArrayHead(dst, oidInt2, len(values), 2)
	for _, v := range values {
		dst = append(dst, 0, 0, 0, 2, byte(v>>8), byte(v))
	}
	return dst
}

// appendBands writes a byte for each row.
func appendBands(dst []byte, bands []int16) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(bands)))
	for _, b := range bands {
		dst = append(dst, byte(b))
	}
	return dst
}

// appendIDs writes two fields of which one is NULL: the ids as an array, and as a text.
func appendIDs(dst []byte, ids *array.String, from, to int) []byte {
	be := binary.BigEndian
	if !joinable(ids, from, to) {
		return be.AppendUint32(appendTexts(dst, ids, from, to), math.MaxUint32)
	}
	dst = be.AppendUint32(dst, math.MaxUint32)
	start := len(dst)
	dst = be.AppendUint32(dst, 0) // the length, known at the end
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, idSeparator)
		}
		if ids.IsValid(i) {
			dst = append(dst, ids.Value(i)...)
		}
	}
	be.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// joinable reports whether the ids of rows can be joined into one text and split again.
func joinable(ids *array.String, from, to int) bool {
	for i := from; i < to; i++ {
		if ids.IsValid(i) && (ids.ValueLen(i) == 0 || strings.IndexByte(ids.Value(i), idSeparator) >= 0) {
			return false
		}
	}
	return true
}

func appendTexts(dst []byte, ids *array.String, from, to int) []byte {
	be := binary.BigEndian
	start := len(dst)
	dst = be.AppendUint32(dst, 0) // the length, known at the end
	nulls := uint32(0)
	if ids.NullN() > 0 {
		nulls = 1
	}
	dst = appendDimension(dst, nulls, oidText, to-from)
	for i := from; i < to; i++ {
		if ids.IsNull(i) {
			dst = be.AppendUint32(dst, math.MaxUint32)
			continue
		}
		id := ids.Value(i)
		dst = be.AppendUint32(dst, uint32(len(id)))
		dst = append(dst, id...)
	}
	be.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}
