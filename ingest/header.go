package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// delimiters are the bytes that may stand between fields; the first wins a tie.
const delimiters = ",;\t|"

// Header is the first row of a file.
type Header struct {
	Names     []string // unquoted, otherwise as they stand in the file
	Delimiter byte     // one of , ; TAB |
	Bytes     int64    // from the start of the file to the first byte behind the header's line end, BOM included
	Lines     int64    // physical lines in these bytes
	Row       []byte   // the header row as it stands in the file, without BOM and line end
}

// Start is where the first data row begins.
func (h Header) Start() Position {
	return Position{Offset: h.Bytes, Row: 1, Line: h.Lines + 1}
}

// ReadHeader reads the header row of unpacked text. The returned reader continues right behind the header.
//
// A UTF-8 byte order mark, blank lines and a spreadsheet's "sep=;" line in front of it belong to the header. When the
// header is readable but no data row follows, the error is [ErrEmpty] and the Header is set nevertheless.
func ReadHeader(r io.Reader, limits Limits) (Header, io.Reader, error) {
	header, _, rest, err := readHeader(r, limits.withDefaults())
	return header, rest, err
}

// readHeader returns the header's bytes too, from the very first of the file.
func readHeader(r io.Reader, limits Limits) (header Header, front []byte, rest io.Reader, err error) {
	in := &headReader{r: r, max: limits.RowBytesMax + 2}
	header, err = in.header(limits)
	if err != nil {
		return header, nil, nil, fmt.Errorf("read header: %w", err)
	}
	front = in.buf[:header.Bytes:header.Bytes]
	return header, front, io.MultiReader(bytes.NewReader(in.buf[header.Bytes:]), r), nil
}

// headReader holds the front of a file.
type headReader struct {
	r   io.Reader
	max int // bytes that a header may have, from its start
	buf []byte
	eof bool
}

func (in *headReader) header(limits Limits) (Header, error) {
	if err := in.want(magicBytes); err != nil {
		return Header{}, err
	}
	if err := checkFront(in.buf); err != nil {
		return Header{}, err
	}
	at, delimiter, err := in.preface()
	if err != nil {
		return Header{}, err
	}
	if err := in.want(at + markupBytes); err != nil {
		return Header{}, err
	}
	if err := checkMarkup(in.buf[at:]); err != nil {
		return Header{}, err
	}
	end, err := in.rowEnd(at)
	if err != nil {
		return Header{}, err
	}
	header, err := parseHeader(in.buf[at:end], delimiter, in.lineOf(at), limits)
	if err != nil {
		return Header{}, err
	}
	header.Bytes = int64(min(end+1, len(in.buf)))
	header.Lines = int64(bytes.Count(in.buf[:header.Bytes], []byte{'\n'}))
	return header, in.wantRow(int(header.Bytes))
}

// preface skips what may stand before the header and finds its start. The delimiter is 0 unless a "sep=" line names it.
func (in *headReader) preface() (at int, delimiter byte, err error) {
	if bytes.HasPrefix(in.buf, []byte("\xef\xbb\xbf")) {
		at = 3
	}
	for {
		if at, err = in.skipBlank(at, in.max); err != nil {
			return at, delimiter, err
		}
		if err := in.want(at + len("sep=;\r\n")); err != nil {
			return at, delimiter, err
		}
		if at == len(in.buf) {
			return at, delimiter, ErrEmpty
		}
		line, _, found := bytes.Cut(in.buf[at:], []byte{'\n'})
		given, ok := separatorLine(line)
		if delimiter != 0 || !found || !ok {
			return at, delimiter, nil
		}
		delimiter = given
		at += len(line) + 1
	}
}

// separatorLine reads the line "sep=;" that spreadsheets put in front.
func separatorLine(line []byte) (byte, bool) {
	line = trimCR(line)
	if len(line) != 5 || !bytes.EqualFold(line[:4], []byte("sep=")) || strings.IndexByte(delimiters, line[4]) < 0 {
		return 0, false
	}
	return line[4], true
}

// skipBlank moves over line ends, over at most limit bytes of them.
func (in *headReader) skipBlank(at, limit int) (int, error) {
	for stop := at + limit; at < stop; at++ {
		if err := in.want(at + 2); err != nil {
			return at, err
		}
		rest := in.buf[at:]
		blank := len(rest) > 0 && (rest[0] == '\n' || rest[0] == '\r' && (len(rest) == 1 || rest[1] == '\n'))
		if !blank {
			return at, nil
		}
	}
	return at, nil
}

// wantRow says ErrEmpty if nothing but line ends follows. It looks ahead only a little; counting the rows finds the rest.
func (in *headReader) wantRow(at int) error {
	at, err := in.skipBlank(at, 4096)
	if err != nil {
		return err
	}
	if at == len(in.buf) && in.eof {
		return ErrEmpty
	}
	return nil
}

// rowEnd finds the line feed that ends the row at a position, or the end of the file.
func (in *headReader) rowEnd(at int) (int, error) {
	for {
		if end := firstRowEnd(in.buf[at:]); end >= 0 {
			return at + end, nil
		}
		if in.eof {
			return len(in.buf), nil
		}
		if len(in.buf)-at >= in.max {
			return 0, in.tooLong(at)
		}
		if err := in.want(len(in.buf) + 1); err != nil {
			return 0, err
		}
	}
}

// tooLong says what is wrong with a header that does not end within the limit.
func (in *headReader) tooLong(at int) error {
	line := in.lineOf(at)
	if bytes.Count(in.buf[at:], []byte{'"'})%2 == 1 {
		return &QuoteError{Line: line, Unclosed: true}
	}
	return &RowTooLongError{Line: line, Limit: in.max - 2}
}

func (in *headReader) lineOf(at int) int64 {
	return 1 + int64(bytes.Count(in.buf[:at], []byte{'\n'}))
}

// want reads on until n bytes are held or the file ends.
func (in *headReader) want(n int) error {
	for len(in.buf) < n && !in.eof {
		have := len(in.buf)
		in.buf = append(in.buf, make([]byte, max(4096, have))...)
		got, err := in.r.Read(in.buf[have:])
		in.buf = in.buf[:have+got]
		if errors.Is(err, io.EOF) {
			in.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// parseHeader reads the names out of a header row without its line feed.
func parseHeader(row []byte, delimiter byte, line int64, limits Limits) (Header, error) {
	row = trimCR(row)
	if len(row) > limits.RowBytesMax {
		return Header{}, &RowTooLongError{Line: line, Limit: limits.RowBytesMax}
	}
	if bytes.IndexByte(row, 0) >= 0 || !utf8.Valid(row) {
		return Header{}, ErrNotText
	}
	if delimiter == 0 {
		delimiter = sniff(row)
	}
	if bad, found := firstBadQuote(row, delimiter); found {
		return Header{}, bad.locate(row, line)
	}
	names, err := headerNames(row, delimiter, limits.ColumnsMax)
	return Header{Names: names, Delimiter: delimiter, Row: bytes.Clone(row)}, err
}

func headerNames(row []byte, delimiter byte, columnsMax int) ([]string, error) {
	var names []string
	blank := true
	for len(names) == 0 || row != nil {
		if len(names) == columnsMax {
			return nil, ErrTooManyColumns
		}
		var cell []byte
		cell, row = cutField(row, delimiter)
		// A lone CR outside quotes means line ends of another kind: the whole file would be one row.
		if bytes.IndexByte(cell, '\r') >= 0 && cell[0] != '"' {
			return nil, ErrHeaderUnreadable
		}
		names = append(names, string(unquote(cell, nil)))
		blank = blank && len(bytes.TrimSpace(cell)) == 0
	}
	if blank {
		return nil, ErrHeaderUnreadable
	}
	return names, nil
}

// sniff picks the delimiter that a row has most often outside quotes.
func sniff(row []byte) byte {
	best, most := delimiters[0], 0
	for _, candidate := range []byte(delimiters) {
		if n := countOutsideQuotes(row, candidate); n > most {
			best, most = candidate, n
		}
	}
	return best
}

func countOutsideQuotes(row []byte, wanted byte) (n int) {
	quoted := false
	for _, b := range row {
		if b == '"' {
			quoted = !quoted
		} else if b == wanted && !quoted {
			n++
		}
	}
	return n
}
