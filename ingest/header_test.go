package ingest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/retainwise/millrace/ingest"
)

func TestReadHeader(t *testing.T) {
	f := func(file, names string, delimiter byte, size, lines int64, row string) {
		t.Helper()
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			h, rest, err := ingest.ReadHeader(wrap(strings.NewReader(file)), ingest.Limits{})
			if err != nil {
				t.Fatalf("%q: %v", file, err)
			}
			got := fmt.Sprintf("%s %q %d %d %q", strings.Join(h.Names, "/"), h.Delimiter, h.Bytes, h.Lines, h.Row)
			if want := fmt.Sprintf("%s %q %d %d %q", names, delimiter, size, lines, row); got != want {
				t.Fatalf("%q:\ngot  %s\nwant %s", file, got, want)
			}
			if start := h.Start(); start != (ingest.Position{Offset: size, Row: 1, Line: lines + 1}) {
				t.Errorf("%q: data starts at %+v", file, start)
			}
			body, err := io.ReadAll(rest)
			if err != nil || string(body) != file[size:] {
				t.Errorf("%q: rest is %q, %v", file, body, err)
			}
		}
	}
	f("a,b\n1,2\n", "a/b", ',', 4, 1, "a,b")
	f("a,b\r\n1,2\r\n", "a/b", ',', 5, 1, "a,b")
	f("a;b\n1;2\n", "a/b", ';', 4, 1, "a;b")
	f("a\tb\n1\t2\n", "a/b", '\t', 4, 1, "a\tb")
	f("a|b\n1|2\n", "a/b", '|', 4, 1, "a|b")
	f("a\n1\n", "a", ',', 2, 1, "a")
	f("a,b;c\n1\n", "a/b;c", ',', 6, 1, "a,b;c")
	f("a;b;c,d\n1\n", "a/b/c,d", ';', 8, 1, "a;b;c,d")
	f(`"a,b,c";"d"`+"\n1\n", "a,b,c/d", ';', 12, 1, `"a,b,c";"d"`)
	f("\"a \"\"b\"\"\",\"c\nd\"\n1\n", "a \"b\"/c\nd", ',', 16, 2, "\"a \"\"b\"\"\",\"c\nd\"")
	f("\xef\xbb\xbfa,b\n1,2\n", "a/b", ',', 7, 1, "a,b")
	f("\xef\xbb\xbf\"a\",b\n1,2\n", "a/b", ',', 9, 1, `"a",b`)
	f("\n\r\n\na,b\n1,2\n", "a/b", ',', 8, 4, "a,b")
	f("sep=;\r\na;b\r\n1;2", "a/b", ';', 12, 2, "a;b")
	f("SEP=|\na,b\n1", "a,b", '|', 10, 2, "a,b")
	f("sep=x\n1\n", "sep=x", ',', 6, 1, "sep=x")
	f("sep=,\nsep=;\n1\n", "sep=;", ',', 12, 2, "sep=;")
	f(" a , b,\n1,2\n", " a / b/", ',', 8, 1, " a , b,")
	f("é,ß\n1,2\n", "é/ß", ',', 6, 1, "é,ß")
	f("a,b\n\n\n1,2\n", "a/b", ',', 4, 1, "a,b")
	f("a,b\nx", "a/b", ',', 4, 1, "a,b")
}

func TestReadHeaderRefuses(t *testing.T) {
	limits := ingest.Limits{ColumnsMax: 3, RowBytesMax: 100}
	f := func(file string, want error) {
		t.Helper()
		_, _, err := ingest.ReadHeader(iotest.OneByteReader(strings.NewReader(file)), limits)
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", file, err, want)
		}
	}
	f("", ingest.ErrEmpty)
	f("\xef\xbb\xbf", ingest.ErrEmpty)
	f("\n\r\n\r", ingest.ErrEmpty)
	f("sep=;\n", ingest.ErrEmpty)
	f("a,b", ingest.ErrEmpty)
	f("a,b\n", ingest.ErrEmpty)
	f("a,b\r\n\r\n\n\r", ingest.ErrEmpty)
	f("a,b,c,d\n1\n", ingest.ErrTooManyColumns)
	f(",,\n1\n", ingest.ErrHeaderUnreadable)
	f(" , \n1\n", ingest.ErrHeaderUnreadable)
	f("a,b\r1,2\r3,4", ingest.ErrHeaderUnreadable)
	f("\xff\xfea\x00,\x00b\x00\n\x00", ingest.ErrNotText)
	f("\xfe\xff\x00a\x00,\x00b", ingest.ErrNotText)
	f("a\x00,\x00b\x00\n\x00", ingest.ErrNotText)
	f("PK\x03\x04\x14\x00", ingest.ErrNotText)
	f("\xd0\xcf\x11\xe0\xa1\xb1", ingest.ErrNotText)
	f("\x1f\x8b\x08", ingest.ErrNotCSV)
	f("%PDF-1.7\n1\n", ingest.ErrNotCSV)
	f("<!doctype html>\n<p>", ingest.ErrNotCSV)
	f("\xef\xbb\xbf\r\n  <HTML>\n", ingest.ErrNotCSV)
	f("[\n {\n  \"a\": 1}]", ingest.ErrNotCSV)
	f("{\"a\": \""+strings.Repeat("x", 200)+"\"}", ingest.ErrNotCSV)
	f("K\xfcndigung,b\n1\n", ingest.ErrNotText)
}

// Headers that look a little like markup are headers.
func TestReadHeaderThatIsNoMarkup(t *testing.T) {
	for _, names := range []string{"<id>,b", "[id],[b]", "{id},b", "\"<html>\",b", "\"{\",b", "{,b", "html,b", "<a,b"} {
		h, _, err := ingest.ReadHeader(strings.NewReader(names+"\n1,2\n"), ingest.Limits{})
		if err != nil || len(h.Names) != 2 {
			t.Errorf("%s: %v, %v", names, h.Names, err)
		}
	}
}

func TestReadHeaderEmptyFileKeepsNames(t *testing.T) {
	h, _, err := ingest.ReadHeader(strings.NewReader("a,b\n"), ingest.Limits{})
	if !errors.Is(err, ingest.ErrEmpty) || len(h.Names) != 2 || h.Bytes != 4 {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestReadHeaderFraming(t *testing.T) {
	limits := ingest.Limits{RowBytesMax: 100}
	f := func(file, want string) {
		t.Helper()
		_, _, err := ingest.ReadHeader(strings.NewReader(file), limits)
		if err == nil || err.Error() != "read header: "+want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
	long := strings.Repeat("x", 101)
	f(long, "row on line 1 is longer than 100 bytes")
	f(long+"\n1\n", "row on line 1 is longer than 100 bytes")
	f("\n\n"+long+long+"\n1\n", "row on line 3 is longer than 100 bytes")
	f("a,\"b\n"+long+"\n"+long, "quote opened on line 1 is never closed")
	f("\na,\"b\n1,2\n", "quote opened on line 2 is never closed")
	f("a,b\"\n1,2\"\n", "stray quote on line 1")
	f("a,\"b\"c\n1,2\n", "stray quote on line 1")
}

func TestReadHeaderPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken connection")
	for n := range 4 {
		r := io.MultiReader(strings.NewReader("a,b\n"[:n]), iotest.ErrReader(broken))
		if _, _, err := ingest.ReadHeader(r, ingest.Limits{}); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// Blank bytes without end must not be held.
func TestReadHeaderBoundsBlankLines(t *testing.T) {
	endless := &counting{r: &repeating{text: "\n"}}
	if _, _, err := ingest.ReadHeader(endless, ingest.Limits{RowBytesMax: 1000}); err == nil {
		t.Error("endless line ends make a header")
	}
	if endless.n > 1<<20 {
		t.Errorf("read %d bytes", endless.n)
	}
	rows := &counting{r: io.MultiReader(strings.NewReader("a,b\n"), &repeating{text: "\n"})}
	if _, _, err := ingest.ReadHeader(rows, ingest.Limits{}); err != nil || rows.n > 1<<20 {
		t.Errorf("%v after %d bytes", err, rows.n)
	}
}

// repeating is a text without end.
type repeating struct{ text string }

func (r *repeating) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte(r.text), len(p)/len(r.text)+1)), nil
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
