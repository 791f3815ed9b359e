package ingest

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with a file as a whole. No text here contains a cell of the customer's.
var (
	// ErrEmpty says that there is no data row: nothing at all, or a header only.
	ErrEmpty = errors.New("file has no data rows")
	// ErrHeaderUnreadable says that the first row cannot be names: all blank, or line ends that are not LF or CRLF.
	ErrHeaderUnreadable = errors.New("header is not readable")
	// ErrNotText says that the file would be CSV if it were UTF-8 text: a spreadsheet, UTF-16, bytes that are no UTF-8.
	ErrNotText = errors.New("file is not UTF-8 text")
	// ErrNotCSV says that the file is something else altogether: a web page, JSON, a PDF document, a picture.
	ErrNotCSV = errors.New("file is not CSV")
	// ErrTooManyColumns says that the header has more than [Limits].ColumnsMax names.
	ErrTooManyColumns = errors.New("header has too many columns")
	// ErrUnpackedTooLarge says that a packed file grows beyond [Limits].UnpackedMax or UnpackRatio.
	ErrUnpackedTooLarge = errors.New("unpacked file is too large")
	// ErrDamagedArchive says that a gzip or zstd stream is cut off or fails its checks.
	ErrDamagedArchive = errors.New("archive is damaged")
)

// QuoteError says that quotes break the framing of the file, so that nothing behind them has a meaning. It is always
// about the first such place of the file.
type QuoteError struct {
	Line int64 // physical line of the stray quote, or on which the quote was opened that is not closed
	// Unclosed is true for a quote that is never closed, or closed on another line with text behind it, and false for a
	// stray one.
	Unclosed bool
	// Broken are the lines of the first rows before it whose quoting is broken, at most ten: one of them may be the cause.
	Broken []int64
}

// Error implements error.
func (e *QuoteError) Error() string {
	if e.Unclosed {
		return fmt.Sprintf("quote opened on line %d is never closed", e.Line)
	}
	return fmt.Sprintf("stray quote on line %d", e.Line)
}

// RowTooLongError says that a row is longer than [Limits].RowBytesMax, so that it cannot be held.
type RowTooLongError struct {
	Line  int64 // physical line on which the row starts; the header is on line 1
	Limit int   // bytes
}

// Error implements error.
func (e *RowTooLongError) Error() string {
	return fmt.Sprintf("row on line %d is longer than %d bytes", e.Line, e.Limit)
}

// TooLargeError says that a file passes one of the limits on its size.
type TooLargeError struct {
	Unit  string // "rows" or "bytes"
	Limit int64
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("file has more than %d %s", e.Limit, e.Unit)
}

// MissingColumn is a required column that a header does not have.
type MissingColumn struct {
	Name    string // the schema's name
	Label   string // what people call it; empty: nothing but its name
	Closest string // the unused header name most like it; empty if none is near. Text of the customer's: not for logs.
}

// MissingColumnsError lists every required column that a header does not have, in the schema's order.
type MissingColumnsError struct {
	Columns []MissingColumn
}

// Error implements error. It leaves out the customer's header names.
func (e *MissingColumnsError) Error() string {
	names := make([]string, len(e.Columns))
	for i, column := range e.Columns {
		names[i] = "'" + column.Name + "'"
	}
	return "missing required columns " + strings.Join(names, ", ")
}

// DuplicateColumnError says that two fields of a header claim the same column of the schema.
type DuplicateColumnError struct {
	Name   string // the schema's name
	Fields [2]int // where the first two stand in the header, from 0
}

// Error implements error.
func (e *DuplicateColumnError) Error() string {
	return fmt.Sprintf("column '%s' is in the header twice, as columns %d and %d", e.Name, e.Fields[0]+1, e.Fields[1]+1)
}
