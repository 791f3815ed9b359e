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

// fixed gives the ith element of an array whose elements have width bytes and are never NULL.
func (a pgArray) fixed(i, width int) ([]byte, error) {
	at := i * (4 + width)
	if i >= a.n || at+4+width > len(a.elements) || binary.BigEndian.Uint32(a.elements[at:]) != uint32(width) {
		return nil, errArray
	}
	return a.elements[at+4 : at+4+width], nil
}

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
func (b storedBlock) row(i int) (int64, error) {
	if b.offsets.n == 0 {
		return b.firstRow + int64(i), nil
	}
	e, err := b.offsets.fixed(i, 4)
	if err != nil {
		return 0, err
	}
	return b.firstRow + int64(binary.BigEndian.Uint32(e)), nil
}

// at decodes the ith row, but for its id.
func (b storedBlock) at(i int) (Row, error) {
	number, err1 := b.row(i)
	p, err2 := b.probability.fixed(i, 4)
	band, err3 := b.bands.fixed(i, 2)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Row{}, errArray
	}
	return Row{
		Row:         number,
		Probability: math.Float32frombits(binary.BigEndian.Uint32(p)),
		Band:        int16(binary.BigEndian.Uint16(band)),
	}, nil
}

// parseBlock reads the columns first_row, row_offset, probability, risk_band and, if asked for, customer_id.
func parseBlock(fields [][]byte) (storedBlock, error) {
	if len(fields[0]) != 4 {
		return storedBlock{}, errArray
	}
	b := storedBlock{firstRow: int64(int32(binary.BigEndian.Uint32(fields[0])))}
	for i, to := range []*pgArray{&b.offsets, &b.probability, &b.bands, &b.ids}[:len(fields)-1] {
		var err error
		if *to, err = parseArray(fields[i+1]); err != nil {
			return storedBlock{}, err
		}
	}
	return b, nil
}
