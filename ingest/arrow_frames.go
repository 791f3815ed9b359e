package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// The library that reads Arrow streams believes the sizes that a stream states, and follows a schema wherever it
// points. These frames are read in front of it: every size is compared with a limit before anything of that size is
// made, and what rows of a customer never need (nested columns, compressed buffers) is refused before the library sees
// it.

// metadataMax bounds the description in front of a message's data: schemas have some 100 bytes a column.
const metadataMax = 1 << 20

// arrowFrames implements [ipc.MessageReader].
type arrowFrames struct {
	in     io.Reader
	limits Limits
	left   int64 // bytes that messages may still have
	last   *ipc.Message
	err    error // what this end of the stream found
}

// Retain implements ipc.MessageReader; one reader has it.
func (f *arrowFrames) Retain() {}

// Release implements ipc.MessageReader.
func (f *arrowFrames) Release() {
	if f.last != nil {
		f.last.Release()
		f.last = nil
	}
}

// Message implements ipc.MessageReader.
func (f *arrowFrames) Message() (*ipc.Message, error) {
	m, err := f.message()
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return m, err
}

func (f *arrowFrames) message() (*ipc.Message, error) {
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	meta, err := f.take(size, metadataMax)
	if err != nil {
		return nil, err
	}
	bodySize, err := f.check(meta)
	if err != nil {
		return nil, err
	}
	body, err := f.take(bodySize, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	f.Release()
	f.last = ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body))
	return f.last, nil
}

// size reads the length of a message's description; io.EOF at the end of the stream, with a mark or without.
func (f *arrowFrames) size() (int64, error) {
	var word [4]byte
	n, err := io.ReadFull(f.in, word[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, io.EOF
	}
	if err == nil && binary.LittleEndian.Uint32(word[:]) == 0xffffffff {
		_, err = io.ReadFull(f.in, word[:])
	}
	if err != nil {
		return 0, arrowCut(err)
	}
	size := int64(int32(binary.LittleEndian.Uint32(word[:])))
	if size == 0 {
		return 0, io.EOF
	}
	return size, nil
}

// take reads size bytes, a piece at a time: a stream that states more than it has costs what it has.
func (f *arrowFrames) take(size, limit int64) ([]byte, error) {
	if size < 0 || size > limit {
		return nil, arrowFault("a message is longer than is supported")
	}
	if size > f.left {
		return nil, &TooLargeError{Unit: "bytes", Limit: f.limits.BytesMax}
	}
	f.left -= size
	var buf []byte
	for int64(len(buf)) < size {
		have := len(buf)
		buf = append(buf, make([]byte, min(size-int64(have), max(64<<10, int64(have))))...)
		if _, err := io.ReadFull(f.in, buf[have:]); err != nil {
			return nil, arrowCut(err)
		}
	}
	return buf, nil
}

// Kinds of messages.
const (
	arrowSchema     = 1
	arrowDictionary = 2
	arrowBatch      = 3
)

// arrowTimestamp is the type whose description holds a text.
const arrowTimestamp = 10

// check looks at a message's description and gives the length of its body. Places of fields are those of the published
// format (Message.fbs, Schema.fbs).
func (f *arrowFrames) check(meta []byte) (body int64, err error) {
	message, ok := flatRoot(meta)
	if !ok {
		return 0, arrowFault("a message cannot be read")
	}
	kind, _ := message.byte(1)
	header, ok := message.table(2)
	if !ok {
		return 0, arrowFault("a message cannot be read")
	}
	switch kind {
	case arrowSchema:
		err = f.checkSchema(header)
	case arrowDictionary:
		if header, ok = header.table(1); ok {
			err = checkBatch(header)
		}
	case arrowBatch:
		err = checkBatch(header)
	default:
		err = arrowFault("a message is of a kind that is not supported")
	}
	if body, _ = message.long(3); body < 0 || !ok {
		return 0, arrowFault("a message cannot be read")
	}
	return body, err
}

// arrowTypes are the types of columns that are supported, by their number in Schema.fbs: Null, Int, FloatingPoint,
// Utf8, Bool, Decimal, Date, Timestamp and LargeUtf8.
var arrowTypes = [...]byte{1, 2, 3, 5, 6, 7, 8, 10, 20}

// checkSchema adds up what the library will copy: a hostile schema points to the same text again and again.
func (f *arrowFrames) checkSchema(schema flatTable) error {
	fields, n, _ := schema.vector(1)
	if n < 0 {
		return arrowFault("the schema cannot be read")
	}
	if n > f.limits.ColumnsMax {
		return ErrTooManyColumns
	}
	cost, ok := schema.metadataCost(2)
	for i := range n {
		field, known := fields.element(i)
		if !known {
			return arrowFault("the schema cannot be read")
		}
		kind, _ := field.byte(2)
		if _, children, _ := field.vector(5); children != 0 || !slices.Contains(arrowTypes[:], kind) {
			return arrowFault("a column is neither text, numbers, true and false, nor dates")
		}
		metadata, sound := field.metadataCost(6)
		zone := int64(0)
		if kind == arrowTimestamp {
			detail, given := field.table(3)
			zone = detail.textCost(1)
			ok = ok && given
		}
		cost += metadata + field.textCost(0) + zone
		ok = ok && sound && cost <= 8*metadataMax
	}
	if !ok || cost > 8*metadataMax {
		return arrowFault("the schema cannot be read")
	}
	return nil
}

// metadataCost is about what a list of keys and values takes in memory.
func (t flatTable) metadataCost(n int64) (cost int64, ok bool) {
	pairs, length, given := t.vector(n)
	if !given {
		return 0, length == 0
	}
	for i := range length {
		pair, ok := pairs.element(i)
		if cost += 64; !ok || cost > 8*metadataMax {
			return cost, false
		}
		cost += pair.textCost(0) + pair.textCost(1)
	}
	return cost, true
}

// textCost is the length of a text. One whose place is not sound costs more than is allowed: the library's arithmetic
// wraps around where ours does not.
func (t flatTable) textCost(n int64) int64 {
	if _, given := t.field(n); !given {
		return 0
	}
	text, ok := t.table(n)
	size, sized := text.uint32(text.at)
	if !ok || !sized {
		return 1 << 40
	}
	return size
}

func checkBatch(batch flatTable) error {
	if _, compressed := batch.field(3); compressed {
		return arrowFault("compressed buffers are not supported; compress the request instead (Content-Encoding)")
	}
	return nil
}

func arrowFault(problem string) error { return &FormatError{Format: "Arrow", Problem: problem} }

// arrowCut distinguishes a stream that ends too early from one that cannot be read.
func arrowCut(err error) error {
	if errors.Is(err, io.EOF) || err == io.ErrUnexpectedEOF {
		return arrowFault("it ends too early")
	}
	return fmt.Errorf("read Arrow stream: %w", err)
}

// flatTable is a table of a FlatBuffer. Nothing in it is believed.
type flatTable struct {
	buf []byte
	at  int64
}

func flatRoot(buf []byte) (flatTable, bool) {
	t := flatTable{buf, 0}
	return t.follow(0)
}

func (t flatTable) uint32(at int64) (int64, bool) {
	if at < 0 || at+4 > int64(len(t.buf)) {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint32(t.buf[at:])), true
}

// follow gives the table that the offset at a place points to.
func (t flatTable) follow(at int64) (flatTable, bool) {
	offset, ok := t.uint32(at)
	return flatTable{t.buf, at + offset}, ok && at+offset+4 <= int64(len(t.buf))
}

// field finds where a field's value is.
func (t flatTable) field(n int64) (at int64, ok bool) {
	back, ok := t.uint32(t.at)
	vtable := t.at - int64(int32(back))
	if !ok || vtable < 0 || vtable+6+2*n > int64(len(t.buf)) {
		return 0, false
	}
	if size := int64(binary.LittleEndian.Uint16(t.buf[vtable:])); size <= 4+2*n {
		return 0, false
	}
	offset := int64(binary.LittleEndian.Uint16(t.buf[vtable+4+2*n:]))
	return t.at + offset, offset != 0
}

func (t flatTable) byte(n int64) (byte, bool) {
	at, ok := t.field(n)
	if !ok || at >= int64(len(t.buf)) {
		return 0, false
	}
	return t.buf[at], true
}

func (t flatTable) long(n int64) (int64, bool) {
	at, ok := t.field(n)
	if !ok || at+8 > int64(len(t.buf)) {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(t.buf[at:])), true
}

func (t flatTable) table(n int64) (flatTable, bool) {
	at, ok := t.field(n)
	if !ok {
		return t, false
	}
	return t.follow(at)
}

// vector gives a vector of offsets as a place, and its length; -1 if it is there but not sound.
func (t flatTable) vector(n int64) (vector flatTable, length int, ok bool) {
	if _, given := t.field(n); !given {
		return vector, 0, false
	}
	if vector, ok = t.table(n); !ok {
		return vector, -1, false
	}
	size, ok := vector.uint32(vector.at)
	if !ok || vector.at+4+4*size > int64(len(t.buf)) {
		return vector, -1, false
	}
	return vector, int(size), true
}

// element follows the nth offset of a vector.
func (t flatTable) element(n int) (flatTable, bool) { return t.follow(t.at + 4 + 4*int64(n)) }
