package tuple

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

// Block is a block as PostgreSQL sends it in binary: the fields of arrays are decoded element by element, and
// only where needed. The bytes belong to the connection and are valid until its next row.
type Block struct {
	FirstRow    int64
	offsets     pgArray // absent if the rows have no gaps
	probability pgArray
	IDs         IDs
	bands       []byte  // a byte each; nil in a block from before schema 22 and if not selected
	bandArray   pgArray // of such a block
}

// IDs is the ids of a block, in one form or the other, or neither if not selected.
type IDs struct {
	joined []byte // nil: they are in array
	array  pgArray
}

// pgArray is the elements of a one-dimensional array: length and bytes each.
type pgArray struct {
	elements []byte
	n        int
}

// ErrDamaged means that a stored block does not have the form of an encoded one.
var ErrDamaged = errors.New("stored array is damaged")

// parseArray checks the head of an array. NULL and the empty array have no elements.
func parseArray(field []byte) (pgArray, error) {
	if field == nil {
		return pgArray{}, nil
	}
	if len(field) < 12 {
		return pgArray{}, ErrDamaged
	}
	dimensions := binary.BigEndian.Uint32(field)
	if dimensions == 0 {
		return pgArray{}, nil
	}
	if dimensions != 1 || len(field) < 20 {
		return pgArray{}, ErrDamaged
	}
	n := binary.BigEndian.Uint32(field[12:])
	if int64(n)*4 > int64(len(field)-20) {
		return pgArray{}, ErrDamaged
	}
	return pgArray{elements: field[20:], n: int(n)}, nil
}

// parseFixed checks an array whose elements all have width bytes, so that they can be indexed: a NULL
// among them, which has no bytes, would make it shorter.
func parseFixed(field []byte, width int) (pgArray, error) {
	a, err := parseArray(field)
	if err == nil && len(a.elements) != a.n*(4+width) {
		err = ErrDamaged
	}
	return a, err
}

func (a pgArray) uint32(i int) uint32 { return binary.BigEndian.Uint32(a.elements[8*i+4:]) }

func (a pgArray) uint16(i int) uint16 { return binary.BigEndian.Uint16(a.elements[6*i+4:]) }

// texts calls visit for each element, in order, with where its bytes are; nil is NULL.
func (a pgArray) texts(visit func(i, at int, text []byte)) error {
	at := 0
	for i := range a.n {
		if len(a.elements)-at < 4 {
			return ErrDamaged
		}
		length := binary.BigEndian.Uint32(a.elements[at:])
		at += 4
		if length == math.MaxUint32 {
			visit(i, at, nil)
			continue
		}
		if int64(length) > int64(len(a.elements)-at) {
			return ErrDamaged
		}
		visit(i, at, a.elements[at:at+int(length)])
		at += int(length)
	}
	return nil
}

// count returns how many rows have their ids here; 0 if they were not read.
func (l IDs) count() int {
	if l.joined == nil {
		return l.array.n
	}
	return bytes.Count(l.joined, []byte{idSeparator}) + 1
}

// bytes holds the ids, among other bytes.
func (l IDs) bytes() []byte {
	if l.joined == nil {
		return l.array.elements
	}
	return l.joined
}

// each calls visit for each row, in order, with where its id is in bytes; nil is none.
func (l IDs) each(visit func(i, at int, id []byte)) error {
	if l.joined == nil {
		return l.array.texts(visit)
	}
	for i, at := 0, 0; at <= len(l.joined); i++ {
		end := bytes.IndexByte(l.joined[at:], idSeparator)
		if end < 0 {
			end = len(l.joined) - at
		}
		if end == 0 {
			visit(i, at, nil)
		} else {
			visit(i, at, l.joined[at:at+end])
		}
		at += end + 1
	}
	return nil
}

// pick is each for the rows that index lists, ascending, and that have an id; i counts them.
func (l IDs) pick(index []int32, visit func(i, at int, id []byte)) error {
	next := 0
	return l.each(func(i, at int, id []byte) {
		if next == len(index) || int(index[next]) != i {
			return
		}
		if id != nil {
			visit(next, at, id)
		}
		next++
	})
}

// Strings calls set for each of the rows that index lists, ascending, and that has an id; i counts them. The ids share
// memory, of which no more is taken than lies between the first and the last of them.
func (l IDs) Strings(index []int32, set func(i int, id *string)) error {
	low, high := len(l.bytes()), 0
	err := l.pick(index, func(_, at int, id []byte) { low, high = min(low, at), max(high, at+len(id)) })
	if err != nil || high == 0 {
		return err
	}
	texts, all := make([]string, len(index)), string(l.bytes()[low:high])
	return l.pick(index, func(i, at int, id []byte) {
		texts[i] = all[at-low : at-low+len(id)]
		set(i, &texts[i])
	})
}

// Row is the number of the ith row.
func (b Block) Row(i int) int64 {
	if b.offsets.n == 0 {
		return b.FirstRow + int64(i)
	}
	return b.FirstRow + int64(b.offsets.uint32(i))
}

// Band is the risk band of the ith row; 0 where the bands were not read.
func (b Block) Band(i int) int16 {
	switch {
	case b.bands != nil:
		return int16(b.bands[i])
	case b.bandArray.n != 0:
		return int16(b.bandArray.uint16(i))
	}
	return 0
}

// Rows is the number of rows.
func (b Block) Rows() int { return b.probability.n }

// Score is the probability of the ith row.
func (b Block) Score(i int) float32 { return math.Float32frombits(b.probability.uint32(i)) }

// ParseBlock reads the columns first_row, row_offset, probability, risk_bands, risk_band, customer_ids and customer_id.
// The last four may be NULL: the server spends time on each array element, so queries select what they need.
func ParseBlock(fields [][]byte) (b Block, err error) {
	if len(fields) != 7 || len(fields[0]) != 4 {
		return Block{}, ErrDamaged
	}
	var errs [4]error
	b.FirstRow = int64(int32(binary.BigEndian.Uint32(fields[0])))
	b.offsets, errs[0] = parseFixed(fields[1], 4)
	b.probability, errs[1] = parseFixed(fields[2], 4)
	b.bands, b.IDs.joined = fields[3], fields[5]
	b.bandArray, errs[2] = parseFixed(fields[4], 2)
	b.IDs.array, errs[3] = parseArray(fields[6])
	for _, n := range []int{b.offsets.n, len(b.bands), b.bandArray.n, b.IDs.count()} {
		if n != 0 && n != b.probability.n {
			return Block{}, ErrDamaged
		}
	}
	if b.bands != nil && len(b.bands) != b.probability.n {
		return Block{}, ErrDamaged
	}
	return b, errors.Join(errs[:]...)
}
