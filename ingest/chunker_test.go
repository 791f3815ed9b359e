package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/retainwise/millrace/ingest"
)

var begin = ingest.Position{Row: 1, Line: 1}

// cut cuts a text and shows the chunks as "offset/row/line:rows,lines:bytes".
func cut(r io.Reader, start ingest.Position, limits ingest.Limits) (chunks []string, err error) {
	c := ingest.NewChunker(r, ',', start, limits)
	var buf []byte
	for {
		chunk, err := c.Next(buf)
		if errors.Is(err, io.EOF) {
			return chunks, nil
		}
		if err != nil {
			return chunks, err
		}
		chunks = append(chunks, fmt.Sprintf("%d/%d/%d:%d,%d:%s", chunk.Offset, chunk.Row, chunk.Line, chunk.Rows, chunk.Lines,
			chunk.Bytes))
		buf = chunk.Bytes[:0]
	}
}

func TestChunker(t *testing.T) {
	f := func(text string, size int, want ...string) {
		t.Helper()
		got, err := cut(strings.NewReader(text), begin, ingest.Limits{ChunkBytes: size})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		equalLists(t, fmt.Sprintf("%q", text), got, want)
	}
	f("", 8)
	f("1,2\n", 8, "0/1/1:1,1:1,2\n")
	f("1,2", 8, "0/1/1:1,1:1,2")
	f("1,2\n3,4\n5,6\n", 8, "0/1/1:2,2:1,2\n3,4\n", "8/3/3:1,1:5,6\n")
	f("1,2\n3,4\n5,6\n", 9, "0/1/1:2,2:1,2\n3,4\n", "8/3/3:1,1:5,6\n")
	f("1,2\n3,4\n5,6", 11, "0/1/1:2,2:1,2\n3,4\n", "8/3/3:1,1:5,6")
	f("1,2\n3,4\n5,6", 12, "0/1/1:3,3:1,2\n3,4\n5,6")
	f("\"a\nb\"\n3,4\n", 8, "0/1/1:1,2:\"a\nb\"\n", "6/2/3:1,1:3,4\n")
	f("\"a\nb\"\n\"c\nd\"\n", 9, "0/1/1:1,2:\"a\nb\"\n", "6/2/3:1,2:\"c\nd\"\n")
	f("\"a\nbcdefghijklm\nn\"\n1\n2\n", 5, "0/1/1:1,3:\"a\nbcdefghijklm\nn\"\n", "19/2/4:2,2:1\n2\n")
	f("abcdefghijklm\n1\n", 5, "0/1/1:1,1:abcdefghijklm\n", "14/2/2:1,1:1\n")
	f("abcdefghijklm", 5, "0/1/1:1,1:abcdefghijklm")
	f("\n\n1\n\r\n\n2\n\r\n", 20, "0/1/1:2,7:\n\n1\n\r\n\n2\n\r\n")
	f("\n\n\n\n1\n", 3, "0/1/1:0,3:\n\n\n", "3/1/4:1,2:\n1\n")
	f("\r\n\r\n1\r\n", 4, "0/1/1:0,2:\r\n\r\n", "4/1/3:1,1:1\r\n")
	f("1\n\r", 8, "0/1/1:1,2:1\n\r")
	f("\"\n\n\"\n\n1\n", 100, "0/1/1:2,5:\"\n\n\"\n\n1\n")
}

func TestChunkerFraming(t *testing.T) {
	limits := ingest.Limits{ChunkBytes: 16, RowBytesMax: 40}
	f := func(text, want string) {
		t.Helper()
		_, err := cut(iotest.HalfReader(strings.NewReader(text)), ingest.Position{Row: 1, Line: 2}, limits)
		if err == nil || err.Error() != "cut rows: "+want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	row := strings.Repeat("x", 41)
	f(row, "row on line 2 is longer than 40 bytes")
	f(row+"\n", "row on line 2 is longer than 40 bytes")
	f("1,2\n\n1,2\n"+row+row+"\n", "row on line 5 is longer than 40 bytes")
	f("1,2\n\""+row+"\"\n", "row on line 3 is longer than 40 bytes") // it is closed, if far behind the limit
	f("1,2\n\""+strings.Repeat(row, 9)+"\"", "row on line 3 is longer than 40 bytes")
	f("1,2\n\""+strings.Repeat(row+"\"\"", 9), "quote opened on line 3 is never closed")
	f("1,2\n\""+row[3:]+"\",\n", "row on line 3 is longer than 40 bytes")
	f("1,2\n\"a\n1,2\n"+row, "quote opened on line 3 is never closed")
	f("1,2\n\"a\n1,2", "quote opened on line 3 is never closed")
	f("1,2\n1,\"", "quote opened on line 3 is never closed")
	f("1,2\n1,a\"\n2,3\n4,\"x", "quote opened on line 5 is never closed")
	f("\"aaaaaaaaaaaaaaaaaaaaaaaa", "quote opened on line 2 is never closed")

	_, err := cut(strings.NewReader(row[:40]+"\r\n"+row[:40]+"\n"+row[:40]), begin, limits)
	if err != nil {
		t.Errorf("rows of exactly the limit: %v", err)
	}
}

func TestChunkerSizes(t *testing.T) {
	text := "1,2\n\n3,4\n"
	f := func(limits ingest.Limits, want string) {
		t.Helper()
		_, err := cut(strings.NewReader(text), begin, limits)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%+v: %v, want %q", limits, err, want)
		}
	}
	f(ingest.Limits{RowsMax: 2, BytesMax: 9}, "")
	f(ingest.Limits{RowsMax: 1}, "file has more than 1 rows")
	f(ingest.Limits{BytesMax: 8}, "file has more than 8 bytes")
	// Rows and bytes count from the start of the file, not of the part.
	_, err := cut(strings.NewReader(text), ingest.Position{Row: 10, Offset: 100, Line: 1}, ingest.Limits{RowsMax: 10})
	var large *ingest.TooLargeError
	if !errors.As(err, &large) || large.Unit != "rows" || large.Limit != 10 {
		t.Errorf("part: %v", err)
	}
}

func TestChunkerPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken connection")
	c := ingest.NewChunker(io.MultiReader(strings.NewReader("1,2\n"), iotest.ErrReader(broken)), ',', begin, ingest.Limits{})
	for range 2 {
		if _, err := c.Next(nil); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	long := strings.Repeat("x", 100)
	body := io.MultiReader(strings.NewReader(long), iotest.ErrReader(broken))
	c = ingest.NewChunker(body, ',', begin, ingest.Limits{ChunkBytes: 8})
	if _, err := c.Next(nil); !errors.Is(err, broken) {
		t.Errorf("in a long row: %v", err)
	}
}

// Chunks are the same however the bytes arrive, and from any of their starts.
func TestChunkerIsMemoryless(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		text := randomRows(random, 1+random.IntN(60))
		limits := ingest.Limits{ChunkBytes: 1 + random.IntN(80)}
		want, err := cut(strings.NewReader(text), begin, limits)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			got, err := cut(wrap(strings.NewReader(text)), begin, limits)
			if err != nil {
				t.Fatal(err)
			}
			equalLists(t, fmt.Sprintf("%q by %d", text, limits.ChunkBytes), got, want)
		}
		for i := range want {
			var at ingest.Position
			if _, err := fmt.Sscanf(want[i], "%d/%d/%d:", &at.Offset, &at.Row, &at.Line); err != nil {
				t.Fatal(err)
			}
			got, err := cut(strings.NewReader(text[at.Offset:]), at, limits)
			if err != nil {
				t.Fatal(err)
			}
			equalLists(t, fmt.Sprintf("%q by %d from %d", text, limits.ChunkBytes, at.Offset), got, want[i:])
		}
	}
}

// randomRows makes rows with sound quotes, blank lines, line ends of both kinds and perhaps no last one.
func randomRows(random *rand.Rand, n int) string {
	long := "\"long\n" + strings.Repeat("x", 40) + `"`
	cells := []string{"", "1", "abc", `"q"`, `"a,b"`, "\"\n\"", "\"\r\n\n\"", `""""`, "é", long}
	var b strings.Builder
	for range n {
		if random.IntN(6) > 0 {
			b.WriteString("x")
			for range random.IntN(4) {
				b.WriteString("," + cells[random.IntN(len(cells))])
			}
		}
		b.WriteString([]string{"\n", "\r\n"}[random.IntN(2)])
	}
	text := b.String()
	if random.IntN(3) == 0 {
		text = strings.TrimRight(text, "\r\n")
	}
	return text
}

// A small body costs little memory, whatever the size of a chunk.
func TestChunkerSmallBody(t *testing.T) {
	chunk, err := ingest.NewChunker(strings.NewReader("1,2\n"), ',', begin, ingest.Limits{}).Next(nil)
	if err != nil || cap(chunk.Bytes) > 128<<10 {
		t.Errorf("buffer of %d bytes, %v", cap(chunk.Bytes), err)
	}
}
