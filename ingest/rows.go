package ingest

import (
	"bytes"
	"errors"
	"io"
)

// Rows reads CSV text that millrace wrote, cell by cell: results and rejects on their way into another format.
// Customers' files go through a [Converter].
type Rows struct {
	Header  Header
	chunker *Chunker
	buf     []byte
	rest    []byte // of the chunk
	cells   [][]byte
	scratch []byte // cells that had doubled quotes
	guarded bool
}

// NewRows reads the header. Text that ends behind it has no rows; text without anything is [ErrEmpty].
func NewRows(r io.Reader, limits Limits) (*Rows, error) {
	header, body, err := ReadHeader(r, limits)
	if errors.Is(err, ErrEmpty) && header.Names != nil {
		body, err = bytes.NewReader(nil), nil
	}
	if err != nil {
		return nil, err
	}
	return &Rows{Header: header, chunker: NewChunker(body, header.Delimiter, header.Start(), limits)}, nil
}

// Unguard has the header's names, and the cells of all rows from here on, given without what the guard against formulas
// added to them. It is for text that was written with the guard.
func (r *Rows) Unguard() {
	r.guarded = true
	for i, name := range r.Header.Names {
		r.Header.Names[i] = string(unguard([]byte(name)))
	}
}

// Next gives the cells of the next row, unquoted and valid until the next call; io.EOF at the end.
func (r *Rows) Next() ([][]byte, error) {
	for len(r.rest) == 0 {
		chunk, err := r.chunker.Next(r.buf[:0])
		if err != nil {
			return nil, err
		}
		r.buf, r.rest = chunk.Bytes, chunk.Bytes
	}
	row := r.rest
	if end := firstRowEnd(row); end >= 0 {
		row, r.rest = row[:end], r.rest[end+1:]
	} else {
		r.rest = nil
	}
	r.cells, r.scratch = r.cells[:0], r.scratch[:0]
	for row = trimCR(row); len(r.cells) == 0 || row != nil; {
		var cell []byte
		cell, row = cutField(row, r.Header.Delimiter)
		text := r.text(cell)
		if r.guarded {
			text = unguard(text)
		}
		r.cells = append(r.cells, text)
	}
	return r.cells, nil
}

func (r *Rows) text(cell []byte) []byte {
	if bare := bytes.Trim(cell, `"`); bytes.IndexByte(bare, '"') < 0 && len(cell)-len(bare) <= 2 {
		return unquote(cell, nil)
	}
	start := len(r.scratch)
	room := r.scratch[start:start:cap(r.scratch)]
	r.scratch = append(r.scratch, unquote(cell, room)...)
	return r.scratch[start:len(r.scratch):len(r.scratch)]
}
