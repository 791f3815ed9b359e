package ingest

import (
	"bytes"
	"fmt"
	"io"
)

// Chunker cuts text into chunks of whole rows. The cuts depend on the bytes and the limits only, never on how many
// bytes one Read returns, and each follows from the one before: a Chunker that begins at a cut finds the same chunks
// from there on.
//
// A chunk is what lies before the last row end within ChunkBytes of its start. If no row ends there, it is one row.
type Chunker struct {
	body      io.Reader
	limits    Limits
	next      Position
	delimiter byte   // LF: not known
	carry     []byte // bytes read but not handed out yet
	ended     bool   // body has no more bytes
	err       error
}

// NewChunker cuts body, whose first byte is the row start given.
func NewChunker(body io.Reader, start Position, limits Limits) *Chunker {
	return &Chunker{body: body, limits: limits.withDefaults(), next: start, delimiter: '\n'}
}

// Next returns the next chunk, in buf or in a larger buffer in its place; io.EOF at the end. Hand Chunk.Bytes[:0] back
// as buf when the chunk is no longer needed. After an error every call returns that error.
//
// Broken framing ends the file: [*QuoteError], [*RowTooLongError]; so does its size: [*TooLargeError].
func (c *Chunker) Next(buf []byte) (Chunk, error) {
	if c.err != nil {
		return Chunk{}, c.err
	}
	chunk, err := c.cut(buf)
	if err != nil {
		c.err = err
		return Chunk{}, err
	}
	c.next.Offset += int64(len(chunk.Bytes))
	c.next.Row += chunk.Rows
	c.next.Line += chunk.Lines
	return chunk, nil
}

func (c *Chunker) cut(buf []byte) (Chunk, error) {
	text, err := c.fill(append(buf[:0], c.carry...), c.limits.ChunkBytes)
	if err != nil {
		return Chunk{}, err
	}
	if len(text) == 0 {
		return Chunk{}, io.EOF
	}
	found := kernel.scan(text, c.delimiter)
	if c.strict() && found.violation || c.ended && found.open {
		return Chunk{}, c.badQuote(text)
	}
	switch {
	case c.ended && len(text) < c.limits.ChunkBytes:
		found = found.toEnd(text)
	case found.end == 0:
		if text, found, err = c.longRow(text); err != nil {
			return Chunk{}, err
		}
	}
	c.carry = append(c.carry[:0], text[found.end:]...)
	chunk := Chunk{Position: c.next, Bytes: text[:found.end], Rows: found.rows, Lines: found.lines}
	return chunk, c.checkSize(chunk)
}

// strict says whether the delimiter is known, so that every quote can be checked and not only their number.
func (c *Chunker) strict() bool { return c.delimiter != '\n' }

// toEnd counts the last line in, which has no line feed.
func (s scanned) toEnd(text []byte) scanned {
	if rest := text[s.end:]; len(rest) > 0 {
		s.lines += 1 + int64(bytes.Count(rest, []byte{'\n'}))
		if len(trimCR(rest)) > 0 {
			s.rows++
		}
		s.end = len(text)
	}
	return s
}

// longRow reads on to the end of a row that is longer than a chunk. It reads in steps of a chunk, so that what is
// left over always fits into the next one.
func (c *Chunker) longRow(text []byte) ([]byte, scanned, error) {
	longest := c.limits.RowBytesMax + 2
	search := rowEndSearch{}
	for {
		end := search.next(text)
		if end < 0 && c.ended {
			end = len(text)
		}
		if end >= 0 && len(trimCR(text[:end])) <= c.limits.RowBytesMax {
			return c.oneRow(text, min(end+1, len(text)))
		}
		if end >= 0 || len(text) >= longest {
			return nil, scanned{}, c.tooLong(text)
		}
		var err error
		if text, err = c.fill(text, min(longest, len(text)+c.limits.ChunkBytes)); err != nil {
			return nil, scanned{}, err
		}
	}
}

// oneRow counts a row that is longer than a chunk.
func (c *Chunker) oneRow(text []byte, end int) ([]byte, scanned, error) {
	if _, bad := firstBadQuote(text[:end], c.separators()); bad && (c.strict() || c.ended && end == len(text)) {
		return nil, scanned{}, c.badQuote(text[:end])
	}
	found := scanned{end: end, lines: int64(bytes.Count(text[:end], []byte{'\n'}))}
	row := bytes.TrimSuffix(text[:end], []byte{'\n'})
	if len(row) == end {
		found.lines++
	}
	if len(trimCR(row)) > 0 {
		found.rows = 1
	}
	return text, found, nil
}

// tooLong says what is wrong with a row that does not end within the limit.
func (c *Chunker) tooLong(text []byte) error {
	if bytes.Count(text, []byte{'"'})%2 == 1 {
		return c.badQuote(text)
	}
	return fmt.Errorf("cut rows: %w", &RowTooLongError{Line: c.next.Line, Limit: c.limits.RowBytesMax})
}

// badQuote finds the first broken quote in text that starts where the next chunk does.
func (c *Chunker) badQuote(text []byte) error {
	bad, _ := firstBadQuote(text, c.separators())
	return fmt.Errorf("cut rows: %w", bad.locate(text, c.next.Line))
}

func (c *Chunker) separators() *separators {
	if !c.strict() {
		return anySeparator()
	}
	return oneSeparator(c.delimiter)
}

func (c *Chunker) checkSize(chunk Chunk) error {
	if limit := c.limits.BytesMax; limit > 0 && chunk.Offset+int64(len(chunk.Bytes)) > limit {
		return &TooLargeError{Unit: "bytes", Limit: limit}
	}
	if limit := c.limits.RowsMax; limit > 0 && chunk.Row-1+chunk.Rows > limit {
		return &TooLargeError{Unit: "rows", Limit: limit}
	}
	return nil
}

// firstRead is what is read before a buffer grows: most requests are no larger.
const firstRead = 64 << 10

// fill reads until text has size bytes or the body ends. It leaves slack behind them. A buffer grows as bytes arrive.
func (c *Chunker) fill(text []byte, size int) ([]byte, error) {
	for {
		text = withSlack(text, min(size, max(firstRead, 2*len(text))))
		room := min(size, cap(text)-slack)
		if c.ended || len(text) >= size {
			return text, nil
		}
		n, ended, err := readWhole(c.body, text[len(text):room])
		if err != nil {
			return nil, fmt.Errorf("read rows: %w", err)
		}
		text, c.ended = text[:len(text)+n], ended
	}
}

// withSlack makes room for size bytes and slack behind them.
func withSlack(text []byte, size int) []byte {
	size = max(size, len(text)) + slack
	if cap(text) >= size {
		return text
	}
	return append(make([]byte, 0, size), text...)
}
