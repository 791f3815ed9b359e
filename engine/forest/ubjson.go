package forest

import (
	"encoding/binary"
	"math"
)

// ubjsonFrame is an open container.
type ubjsonFrame struct {
	object  bool
	inValue bool // the object's key was read, its value follows
	counted bool // the array's length was given
	element byte // the marker that all elements of the array share, 0 if each has its own
	left    int  // elements still to come in a counted array
}

// ubjsonReader is an eventReader for the part of UBJSON (draft 12, big-endian) that XGBoost writes. It allocates
// nothing, and no length is believed before it is compared with the bytes that are left.
type ubjsonReader struct {
	file    []byte
	pos     int
	meter   *meter
	started bool
	stack   []ubjsonFrame
	frames  [deepest]ubjsonFrame
}

func newUBJSONReader(file []byte, m *meter) *ubjsonReader {
	r := &ubjsonReader{file: file, meter: m}
	r.stack = r.frames[:0]
	return r
}

func (r *ubjsonReader) format() string { return FormatXGBoostUB }

func (r *ubjsonReader) next() (event, error) {
	before := r.pos
	e, err := r.advance()
	if err != nil {
		return event{}, err
	}
	return e, r.meter.step(r.pos - before + 1)
}

func (r *ubjsonReader) advance() (event, error) {
	if len(r.stack) == 0 {
		if !r.started {
			r.started = true
			return r.marked()
		}
		if r.pos < len(r.file) {
			return event{}, fault(KindTruncated, "unexpected bytes follow the UBJSON at byte %d", r.pos)
		}
		return event{kind: eventEnd}, nil
	}
	top := &r.stack[len(r.stack)-1]
	if top.object {
		return r.inObject(top)
	}
	return r.inArray(top)
}

func (r *ubjsonReader) inObject(top *ubjsonFrame) (event, error) {
	if top.inValue {
		top.inValue = false
		return r.marked()
	}
	if r.takes('}') {
		r.stack = r.stack[:len(r.stack)-1]
		return event{kind: eventEndObject}, nil
	}
	key, err := r.text()
	top.inValue = true
	return event{kind: eventKey, text: key}, err
}

func (r *ubjsonReader) inArray(top *ubjsonFrame) (event, error) {
	if top.counted && top.left == 0 || !top.counted && r.takes(']') {
		r.stack = r.stack[:len(r.stack)-1]
		return event{kind: eventEndArray}, nil
	}
	top.left--
	if top.element != 0 {
		return r.scalar(top.element)
	}
	return r.marked()
}

// takes skips the next byte if it is c.
func (r *ubjsonReader) takes(c byte) bool {
	if r.pos < len(r.file) && r.file[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

// bytes takes the next n bytes.
func (r *ubjsonReader) bytes(n int) ([]byte, error) {
	if n < 0 || n > len(r.file)-r.pos {
		return nil, fault(KindTruncated, "file ends inside its UBJSON, %d bytes are missing", n-(len(r.file)-r.pos))
	}
	b := r.file[r.pos : r.pos+n]
	r.pos += n
	return b, nil
}

// marked takes a value that starts with its marker.
func (r *ubjsonReader) marked() (event, error) {
	marker, err := r.bytes(1)
	if err != nil {
		return event{}, err
	}
	switch marker[0] {
	case '{':
		err := r.push(ubjsonFrame{object: true})
		return event{kind: eventObject}, err
	case '[':
		return r.array()
	case 'S':
		text, err := r.text()
		return event{kind: eventString, text: text}, err
	case 'T':
		return event{kind: eventBool, integer: 1}, nil
	case 'F':
		return event{kind: eventBool}, nil
	case 'Z':
		return event{kind: eventNull}, nil
	}
	return r.scalar(marker[0])
}

func (r *ubjsonReader) push(f ubjsonFrame) error {
	if len(r.stack) == deepest {
		return fault(KindField, "UBJSON is nested more than %d deep", deepest)
	}
	r.stack = append(r.stack, f)
	return nil
}

// array takes an array's head: [ or [#count or [$type#count.
func (r *ubjsonReader) array() (event, error) {
	f := ubjsonFrame{}
	least := 1 // bytes an element takes
	if r.takes('$') {
		marker, err := r.bytes(1)
		if err != nil {
			return event{}, err
		}
		// An element without bytes would let a few bytes announce any number of them.
		if f.element, least = marker[0], scalarBytes(marker[0]); least == 0 {
			return event{}, r.unexpected("the type of an array", marker[0])
		}
	}
	if f.counted = r.takes('#'); f.counted {
		count, err := r.length()
		if err != nil {
			return event{}, err
		}
		if count > (len(r.file)-r.pos)/least {
			return event{}, fault(KindTruncated, "UBJSON array of %d elements is longer than the file", count)
		}
		f.left = count
	} else if f.element != 0 {
		return event{}, fault(KindField, "UBJSON array has a type but no length at byte %d", r.pos)
	}
	return event{kind: eventArray}, r.push(f)
}

// text takes a length and as many bytes.
func (r *ubjsonReader) text() ([]byte, error) {
	n, err := r.length()
	if err != nil {
		return nil, err
	}
	return r.bytes(n)
}

// length takes an integer of any width that is no less than 0.
func (r *ubjsonReader) length() (int, error) {
	marker, err := r.bytes(1)
	if err != nil {
		return 0, err
	}
	e, err := r.scalar(marker[0])
	if err != nil {
		return 0, err
	}
	if e.kind != eventInteger || e.integer < 0 || e.integer > math.MaxInt32 {
		return 0, r.unexpected("a length", marker[0])
	}
	return int(e.integer), nil
}

// scalarBytes returns how many bytes follow a number's marker, 0 if it is no number's.
func scalarBytes(marker byte) int {
	switch marker {
	case 'i', 'U', 'C':
		return 1
	case 'I':
		return 2
	case 'l', 'd':
		return 4
	case 'L', 'D':
		return 8
	}
	return 0
}

func (r *ubjsonReader) scalar(marker byte) (event, error) {
	size := scalarBytes(marker)
	if size == 0 {
		return event{}, r.unexpected("a value", marker)
	}
	b, err := r.bytes(size)
	if err != nil {
		return event{}, err
	}
	switch marker {
	case 'i':
		return event{kind: eventInteger, integer: int64(int8(b[0]))}, nil
	case 'I':
		return event{kind: eventInteger, integer: int64(int16(binary.BigEndian.Uint16(b)))}, nil
	case 'l':
		return event{kind: eventInteger, integer: int64(int32(binary.BigEndian.Uint32(b)))}, nil
	case 'L':
		return event{kind: eventInteger, integer: int64(binary.BigEndian.Uint64(b))}, nil
	case 'd':
		return event{kind: eventFloat, number: float64(math.Float32frombits(binary.BigEndian.Uint32(b)))}, nil
	case 'D':
		return event{kind: eventFloat, number: math.Float64frombits(binary.BigEndian.Uint64(b))}, nil
	}
	return event{kind: eventInteger, integer: int64(b[0])}, nil
}

func (r *ubjsonReader) unexpected(want string, marker byte) error {
	return fault(KindField, "UBJSON has %q before byte %d where %s belongs", rune(marker), r.pos, want)
}
