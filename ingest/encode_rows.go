package ingest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Rows that arrive as JSON or Arrow become CSV text, which then takes the one path that every file takes: the same
// rules, reject codes and probabilities to the last bit. A float64 is written as its shortest decimal, which reads back
// as the same bits.

// FormatError says that a body is not in the format it claims to be in. Its text holds nothing of the customer's.
type FormatError struct {
	Format  string // "JSON" or "Arrow"
	Row     int64  // the row being read, from 1; 0: none
	Problem string
	Column  string // text of the customer's: not for logs
}

// Error implements error.
func (e *FormatError) Error() string {
	if e.Row == 0 {
		return e.Format + ": " + e.Problem
	}
	return fmt.Sprintf("%s row %d: %s", e.Format, e.Row, e.Problem)
}

// rowEncoder hands out CSV text that next appends row by row.
type rowEncoder struct {
	next func(dst []byte) ([]byte, error) // io.EOF at the end, together with the last text
	out  []byte
	read int
	err  error
}

// Read implements io.Reader.
func (e *rowEncoder) Read(p []byte) (int, error) {
	for e.read == len(e.out) {
		if e.err != nil {
			return 0, e.err
		}
		e.out, e.read = e.out[:0], 0
		e.out, e.err = e.next(e.out)
	}
	n := copy(p, e.out[e.read:])
	e.read += n
	return n, nil
}

// appendNames writes a header row. What could be taken for something else than a name is quoted.
func appendNames(dst []byte, names []string) []byte {
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		if name == "" || strings.IndexFunc(name, unusual) >= 0 || i == 0 && checkFront([]byte(name)) != nil {
			dst = appendQuoted(dst, []byte(name))
		} else {
			dst = append(dst, name...)
		}
	}
	return append(dst, '\n')
}

func unusual(r rune) bool {
	return r <= ' ' && r != ' ' || r >= 0x7f || strings.ContainsRune("=\""+delimiters, r)
}

// appendText writes a cell.
func appendText(dst, text []byte) []byte {
	if bytes.IndexByte(text, ',') < 0 && bytes.IndexByte(text, '"') < 0 &&
		bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') < 0 {
		return append(dst, text...)
	}
	return appendQuoted(dst, text)
}

// endRow ends the row that began at start; one without a byte would be a blank line, and one of nothing but delimiters is
// none either.
func endRow(dst []byte, start int) []byte {
	if len(dst) == start || isHollow(dst[start:], ',') {
		dst = slices.Insert(dst, start, '"', '"')
	}
	return append(dst, '\n')
}
