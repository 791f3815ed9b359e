package store

import (
	"encoding/binary"
	"errors"
	"math"
)

// storedBlock is a block as PostgreSQL sends it in binary: the fields of arrays are decoded element by element, and
// only where needed. The bytes belong to the connection and are valid until its next row.
type storedBlock struct {
	firstRow    int64
	offsets     pgArray // absent if the rows have no gaps
	ids         pgArray
	probability pgArray
	bands       pgArray
}

// pgArray is the elements of a one-dimensional array: length and bytes each.
type pgArray struct {
	elements []byte
	n        int
}

var errArray = errors.New("stored array is damaged")

// parseArray checks the head of an array. NULL and the empty array have no elements.
func parseArray(field []byte) (pgArray, error) {
	if field == nil {
		return pgArray{}, nil
	}
	if len(field) < 12 {
		return pgArray{}, errArray
	}
	dimensions := binary.BigEndian.Uint32(field)
	if dimensions == 0 {
		return pgArray{}, nil
	}
	if dimensions != 1 || len(field) < 20 {
		return pgArray{}, errArray
	}
	n := binary.BigEndian.Uint32(field[12:])
	if int64(n)*4 > int64(len(field)-20) {
		return pgArray{}, errArray
	}
	return pgArray{elements: field[20:], n: int(n)}, nil
}

// parseFixed checks an array whose elements all have width bytes, so that they can be picked without a look: a NULL
// among them, which has no bytes, would make it shorter.
func parseFixed(field []byte, width int) (pgArray, error) {
	a, err := parseArray(field)
	if err == nil && len(a.elements) != a.n*(4+width) {
		err = errArray
	}
	return a, err
}

func (a pgArray) uint32(i int) uint32 { return binary.BigEndian.Uint32(a.elements[8*i+4:]) }

func (a pgArray) uint16(i int) uint16 { return binary.BigEndian.Uint16(a.elements[6*i+4:]) }

// texts calls visit for each element, in order; nil is NULL.
func (a pgArray) texts(visit func(i int, text []byte)) error {
	rest := a.elements
	for i := range a.n {
		if len(rest) < 4 {
			return errArray
		}
		length := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if length == math.MaxUint32 {
			visit(i, nil)
			continue
		}
		if int64(length) > int64(len(rest)) {
			return errArray
		}
		visit(i, rest[:length:length])
		rest = rest[length:]
	}
	return nil
}

// row is the number of the ith row.
func (b storedBlock) row(i int) int64 {
	if b.offsets.n == 0 {
		return b.firstRow + int64(i)
	}
	return b.firstRow + int64(b.offsets.uint32(i))
}

// at decodes the ith row, but for its id.
func (b storedBlock) at(i int) Row {
	r := Row{Row: b.row(i), Probability: b.score(i)}
	if b.bands.n != 0 {
		r.Band = int16(b.bands.uint16(i))
	}
	return r
}

func (b storedBlock) score(i int) float32 { return math.Float32frombits(b.probability.uint32(i)) }

// parseBlock reads the columns first_row, row_offset, probability, risk_band and customer_id. The last two may be NULL:
// the server spends most of a query on writing out array elements, so what is not needed is not asked for.
func parseBlock(fields [][]byte) (b storedBlock, err error) {
	if len(fields) != 5 || len(fields[0]) != 4 {
		return storedBlock{}, errArray
	}
	var errs [4]error
	b.firstRow = int64(int32(binary.BigEndian.Uint32(fields[0])))
	b.offsets, errs[0] = parseFixed(fields[1], 4)
	b.probability, errs[1] = parseFixed(fields[2], 4)
	b.bands, errs[2] = parseFixed(fields[3], 2)
	b.ids, errs[3] = parseArray(fields[4])
	for _, a := range []pgArray{b.offsets, b.bands, b.ids} {
		if a.n != 0 && a.n != b.probability.n {
			return storedBlock{}, errArray
		}
	}
	return b, errors.Join(errs[:]...)
}
