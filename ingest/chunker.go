package ingest

import (
	"bytes"
	"fmt"
	"io"

	"github.com/retainwise/millrace/ingest/internal/kernels"
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
	delimiter byte
	carry     []byte  // bytes read but not handed out yet
	ended     bool    // body has no more bytes
	broken    []int64 // lines of the first rows with broken quotes
	err       error
}

// NewChunker cuts body, whose first byte is the row start given and whose fields the delimiter separates: a quote in the
// wrong place breaks a row, and what the wrong place is depends on it.
func NewChunker(body io.Reader, delimiter byte, start Position, limits Limits) *Chunker {
	return &Chunker{body: body, limits: limits.withDefaults(), next: start, delimiter: delimiter}
}

// Next returns the next chunk, in buf or in a larger buffer in its place; io.EOF at the end. Hand Chunk.Bytes[:0] back
// as buf when the chunk is no longer needed. After an error every call returns that error.
//
// A quote in the wrong place breaks its row, which ends at the next line end. One that is never closed ends the file:
// [*QuoteError]; so do [*RowTooLongError] and its size: [*TooLargeError].
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
	found := kernel.Scan(text, c.delimiter)
	if found.Violation {
		found = c.scanBroken(text)
	}
	if c.ended && found.Open {
		return Chunk{}, c.neverClosed(text[found.End:], text[:found.End])
	}
	switch {
	case c.ended && len(text) < c.limits.ChunkBytes:
		found = toEnd(found, text)
	case found.End == 0:
		if text, found, err = c.longRow(text); err != nil {
			return Chunk{}, err
		}
	}
	c.carry = append(c.carry[:0], text[found.End:]...)
	hollow := int64(0)
	if found.Lead {
		hollow = hollowRows(text[:found.End], c.delimiter)
	}
	chunk := Chunk{
		Position: c.next, Bytes: text[:found.End], Rows: found.Rows - hollow, Lines: found.Lines, Skipped: hollow,
	}
	return chunk, c.checkSize(chunk)
}

// scanBroken scans text whose quoting is broken and keeps the lines.
func (c *Chunker) scanBroken(text []byte) kernels.Scanned {
	found, broken := scanBroken(text, c.delimiter)
	for _, at := range broken {
		if len(c.broken) < brokenMax {
			c.broken = append(c.broken, c.next.Line+int64(bytes.Count(text[:at], []byte{'\n'})))
		}
	}
	return found
}

// toEnd counts the last line in, which has no line feed.
func toEnd(s kernels.Scanned, text []byte) kernels.Scanned {
	if rest := text[s.End:]; len(rest) > 0 {
		s.Lines += 1 + int64(bytes.Count(rest, []byte{'\n'}))
		if len(trimCR(rest)) > 0 {
			s.Rows++
		}
		s.End = len(text)
	}
	return s
}

// longRow reads on to the end of a row that is longer than a chunk. It reads in steps of a chunk, so that what is
// left over always fits into the next one.
func (c *Chunker) longRow(text []byte) ([]byte, kernels.Scanned, error) {
	longest := c.limits.RowBytesMax + 2
	q, from := quoting{delimiter: c.delimiter}, 0
	for {
		end := q.rowEnd(text, from)
		if end < 0 && c.ended {
			if q.state == quotedField {
				return nil, kernels.Scanned{}, c.neverClosed(text, nil)
			}
			end = len(text)
		}
		if end >= 0 && len(trimCR(text[:end])) <= c.limits.RowBytesMax {
			return text, oneRow(text, min(end+1, len(text))), nil
		}
		if end >= 0 || len(text) >= longest {
			return nil, kernels.Scanned{}, c.tooLong(text, &q, end >= 0)
		}
		from = len(text)
		var err error
		if text, err = c.fill(text, min(longest, len(text)+c.limits.ChunkBytes)); err != nil {
			return nil, kernels.Scanned{}, err
		}
	}
}

// oneRow counts a row that is longer than a chunk.
func oneRow(text []byte, end int) kernels.Scanned {
	found := kernels.Scanned{End: end, Lines: int64(bytes.Count(text[:end], []byte{'\n'})), Lead: true}
	row := bytes.TrimSuffix(text[:end], []byte{'\n'})
	if len(row) == end {
		found.Lines++
	}
	if len(trimCR(row)) > 0 {
		found.Rows = 1
	}
	return found
}

// tooLong says what is wrong with a row that does not end within the limit: that it is long, or that its quotes are never
// closed, which the text behind it shows.
func (c *Chunker) tooLong(text []byte, q *quoting, ends bool) error {
	if !ends && q.state == quotedField {
		closes, err := c.closes(q)
		if err != nil {
			return err
		}
		if !closes {
			return c.neverClosed(text, nil)
		}
	}
	return fmt.Errorf("cut rows: %w", &RowTooLongError{Line: c.next.Line, Limit: c.limits.RowBytesMax})
}

// closeSearchMax bounds how far a closing quote is looked for behind a row that is too long.
const closeSearchMax = 64 << 20

// closes reads on and says whether the open quotes are closed.
func (c *Chunker) closes(q *quoting) (bool, error) {
	buf := make([]byte, firstRead)
	for read := 0; read < closeSearchMax; {
		n, ended, err := readWhole(c.body, buf)
		if err != nil {
			return false, fmt.Errorf("read rows: %w", err)
		}
		for at, b := range buf[:n] {
			if q.step(b, at); q.state != quotedField && q.state != closedField {
				return true, nil
			}
		}
		if ended {
			return q.state == closedField, nil
		}
		read += n
	}
	return false, nil
}

// neverClosed is about quotes that are open at the end of text, which begins with their row, or a row before it, and
// stands behind what is given.
func (c *Chunker) neverClosed(text, behind []byte) error {
	q := quoting{delimiter: c.delimiter}
	for at, b := range text {
		q.step(b, at)
	}
	line := c.next.Line + int64(bytes.Count(behind, []byte{'\n'})+bytes.Count(text[:q.open], []byte{'\n'}))
	return fmt.Errorf("cut rows: %w", &QuoteError{Line: line, Unclosed: true, Broken: c.broken})
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
		room := min(size, cap(text)-kernels.Slack)
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
	size = max(size, len(text)) + kernels.Slack
	if cap(text) >= size {
		return text
	}
	return append(make([]byte, 0, size), text...)
}
