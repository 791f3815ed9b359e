package ingest

import (
	"errors"
	"io"
)

// readWhole reads until buf is full or r ends. Unlike io.ReadFull it distinguishes a file that ends from one that breaks off:
// an io.ErrUnexpectedEOF of r itself is an error.
func readWhole(r io.Reader, buf []byte) (n int, ended bool, err error) {
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}
