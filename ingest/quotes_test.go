package ingest_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

// rowsOf reads text by the rules of strict quoting as simply as possible: where rows end, which of them are broken, and
// whether the last one is never closed.
func rowsOf(text string) (rows []string, broken []bool, open bool) {
	start, bad := 0, false
	quoted, fresh := false, true // inside quotes; at the start of a field
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case bad && b != '\n':
		case quoted && b == '"' && i+1 < len(text) && text[i+1] == '"':
			i++
		case quoted && b == '"':
			quoted = false
			rest := text[i+1:]
			bad = rest != "" && rest != "\r" && rest[0] != ',' && rest[0] != '\n' && !strings.HasPrefix(rest, "\r\n")
		case quoted:
		case b == '"' && fresh:
			quoted, fresh = true, false
		case b == '"':
			bad = true
		case b == '\n':
			rows, broken = append(rows, text[start:i+1]), append(broken, bad)
			start, bad, fresh = i+1, false, true
		default:
			fresh = b == ','
		}
	}
	if start < len(text) {
		rows, broken = append(rows, text[start:]), append(broken, bad)
	}
	return rows, broken, quoted
}

func quoteNeverCloses(text string) bool {
	_, _, open := rowsOf(text)
	return open
}

func TestBrokenQuotesRejectTheirRow(t *testing.T) {
	ingest.WithKernels(t, func(t *testing.T) {
		for _, c := range []struct{ rows, want string }{
			{"1,12\" monitor\n3,4\n", "2:3|4 1/2 ERR-1613 b"},
			{"1,2\n\n1,12\" monitor\n1,2\n", "1:1|2 3:1|2 2/4 ERR-1613 b"},
			{"Robert \"Bob\" Smith,1\n3,4\n", "2:3|4 1/2 ERR-1613 a"},
			{"=\"00123\",1\n3,4\n", "2:3|4 1/2 ERR-1613 a"},
			{"\"a\", \"b\"\n3,4\n", "2:3|4 1/2 ERR-1613 b"},
			{"a,\"TV 27\" to 31\"\"\n3,4\n", "2:3|4 1/2 ERR-1613 b"},
			{"\"a\\\"b\",1\n3,4\n", "2:3|4 1/2 ERR-1613 a"},
			{"\"a\"\r,1\n3,4\n", "2:3|4 1/2 ERR-1613 a"},
			{"1,\"two\nlines\"x,\"\n3,4\n", "2:3|4 1/2 ERR-1613 b"},
			{"1,a\"\n", "1/2 ERR-1613 b"},
			{"1,a\"", "1/2 ERR-1613 b"},
			{"1,2\n1,a\"\r\n3,4\r\n", "1:1|2 3:3|4 2/3 ERR-1613 b"},
			{"1,2,\"x\"y\n3,4\n", "2:3|4 1/2 ERR-1613"},
		} {
			o := read("a,b\n"+c.rows, texts("a", "b"), ingest.Limits{}, nil)
			if got := strings.Join(append(o.rows, o.rejects...), " "); o.err != nil || strings.TrimSpace(got) != c.want {
				t.Errorf("%q: %s %v, want %s", c.rows, got, o.err, c.want)
			}
		}
		many := strings.Repeat("1,2\n", 20000) + "1,a\"\n" + strings.Repeat("1,2\n", 20000)
		o := read("a,b\n"+many, texts("a", "b"), ingest.Limits{}, nil)
		if o.err != nil || len(o.rows) != 40000 || !slices.Equal(o.rejects, []string{"20001/20002 ERR-1613 b"}) {
			t.Errorf("%d rows, rejects %v, %v", len(o.rows), o.rejects, o.err)
		}
	})
}

func TestQuotesThatNeverCloseRefuseTheFile(t *testing.T) {
	for _, c := range []struct{ rows, want, broken string }{
		{"1,2\n\"a,1\n1,2\n", "quote opened on line 3 is never closed", "[]"},
		{"1,2\n\"a", "quote opened on line 3 is never closed", "[]"},
		{"1,\"", "quote opened on line 2 is never closed", "[]"},
		{"1,2\r\n\"\"\"\"\"\r\n", "quote opened on line 3 is never closed", "[]"},
		{"x\"y,2\n\n\"a\"b,1\n1,\"2\n3,4\n", "quote opened on line 5 is never closed", "[2 4]"},
		{strings.Repeat("x\"y,2\n", 20) + "\"", "quote opened on line 22 is never closed", "[2 3 4 5 6 7 8 9 10 11]"},
	} {
		o := read("a,b\n"+c.rows, texts("a", "b"), ingest.Limits{}, nil)
		var e *ingest.QuoteError
		if !errors.As(o.err, &e) || e.Error() != c.want || fmt.Sprint(e.Broken) != c.broken {
			t.Errorf("%q: %v %+v, want %s %s", c.rows, o.err, e, c.want, c.broken)
		}
	}
}

// Rows are the same wherever the chunks are cut, by a plain reading of the rules, and whatever the kernels.
func TestBrokenRowsAreTheSameFromEveryCut(t *testing.T) {
	ingest.WithKernels(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(18, 7))
		alphabet := []string{"\"", "\"", "\"\"", ",", ",", "\n", "\r\n", "\r", "x", "yz", "abcdefghijklmnopqrstuvwxyz"}
		for range 400 {
			var b strings.Builder
			for range 1 + random.IntN(120) {
				b.WriteString(alphabet[random.IntN(len(alphabet))])
			}
			text := b.String()
			rows, broken, open := rowsOf(text)
			for _, size := range []int{1, 2 + random.IntN(60), 100000} {
				o := read("a,b\n"+text, texts("a", "b"), ingest.Limits{ChunkBytes: size}, nil)
				if open != (o.err != nil) {
					t.Fatalf("%q by %d: %v, never closed: %v", text, size, o.err, open)
				}
				if !open {
					checkRows(t, text, size, o, rows, broken)
				}
			}
		}
	})
}

func checkRows(t *testing.T, text string, size int, o outcome, rows []string, broken []bool) {
	t.Helper()
	n, rejected := 0, 0
	for i, row := range rows {
		if strings.Trim(strings.TrimSuffix(strings.TrimSuffix(row, "\n"), "\r"), ",") == "" { // blank, or hollow
			continue
		}
		n++
		if broken[i] {
			rejected++
			if !slices.ContainsFunc(o.rejects, func(r string) bool {
				return strings.HasPrefix(r, fmt.Sprintf("%d/", n)) && strings.Contains(r, "ERR-1613")
			}) {
				t.Fatalf("%q by %d: row %d %q is not among %v", text, size, n, row, o.rejects)
			}
		}
	}
	if o.read != int64(n) || len(o.rows)+len(o.rejects) != n {
		t.Fatalf("%q by %d: %d rows, %d scored, %d rejected; want %d", text, size, o.read, len(o.rows), len(o.rejects), n)
	}
	if others := len(o.rejects) - rejected; others < 0 {
		t.Fatalf("%q: rejects %v", text, o.rejects)
	}
}

// A rejects file with broken rows is sound CSV, its rows are rejected again as they are, and pass when the mark is gone.
func TestMarkedRowsComeBack(t *testing.T) {
	file := "id,tenure,charge,contract,paid,note\n" +
		"A,1,1,Monthly,Yes,5\" pipe\n" + "B,1,1,Monthly,Yes\n" + "C,1,1,Monthly,Yes,x,y\n" + "D,\"1\"2,1,Monthly,Yes,\"a,b\"\n" +
		"E,1,1,Monthly,Yes,good\n" + "F,7,1,Monthly,perhaps,x\n"
	first := read(file, churn(), ingest.Limits{}, nil)
	equalLists(t, "first", first.rejects, []string{
		"1/2 ERR-1613 note", "2/3 ERR-1601", "3/4 ERR-1601", "4/5 ERR-1613 tenure", "6/7 ERR-1611 paid",
	})
	reader := csv.NewReader(strings.NewReader(first.out))
	if records, err := reader.ReadAll(); err != nil || len(records) != 6 {
		t.Fatalf("%v %q", err, records)
	}
	again := read(first.out, churn(), ingest.Limits{}, nil)
	equalLists(t, "again", again.rejects, []string{
		"1/2 ERR-1613 note", "2/3 ERR-1601 note", "3/4 ERR-1601 note", "4/5 ERR-1613 tenure", "5/6 ERR-1611 paid",
	})
	if third := read(again.out, churn(), ingest.Limits{}, nil); len(third.rejects) != 5 {
		t.Errorf("third: %v", third.rejects)
	}
	mended := strings.NewReplacer("[ERR-1601] ", "", "[ERR-1601]", "", "[ERR-1613] ", "", "perhaps", "No").Replace(first.out)
	mended = strings.Replace(mended, `"""1""2"`, "12", 1)
	passed := read(mended, churn(), ingest.Limits{}, nil)
	equalLists(t, "mended", passed.rejects, nil)
	if !strings.Contains(first.out, `"[ERR-1613] 5"" pipe"`) || !strings.Contains(first.out, `"[ERR-1601] x,y"`) {
		t.Errorf("rejects file\n%s", first.out)
	}
}

func TestRowsRejectedWithoutMarksComeBack(t *testing.T) {
	head := "customerID,Contract,income,tenure,note,_row,_line,_code,_column,_reason\n"
	for _, c := range []struct {
		row      string
		rejected bool
	}{
		{`A,Monthly,45,60,"1384.45,ok",1,2,ERR-1601,,"Expected 5 fields, but the row has 6."`, true},
		{`A,Monthly,45060,22,ok,1,2,ERR-1601,,"Expected 5 fields, but the row has 6."`, false},
		{`A,Monthly,45060,,,1,2,ERR-1601,,"Expected 5 fields, but the row has 4."`, true},
		{`A,Monthly,45060,22,x,1,2,ERR-1601,,"Expected 5 fields, but the row has 4."`, false},
		{`A,Monthly,45060,22,,1,2,,,"Expected 5 fields, but the row has 4."`, false},
	} {
		o := read(head+c.row+"\n", texts("customerID"), ingest.Limits{}, nil)
		if rejected := len(o.rejects) == 1; o.err != nil || rejected != c.rejected {
			t.Errorf("%s: %v %v %v", c.row, o.rows, o.rejects, o.err)
		}
	}
}

// A long cell that is closed is long, however far away its end is.
func TestLongClosedCellIsLong(t *testing.T) {
	limits := ingest.Limits{RowBytesMax: 1000, ChunkBytes: 100}
	body := io.MultiReader(strings.NewReader("a,b\n1,\""), strings.NewReader(strings.Repeat("x", 1<<20)), strings.NewReader("\"\n1,2\n"))
	_, _, err := plan(body, limits)
	var long *ingest.RowTooLongError
	if !errors.As(err, &long) || long.Line != 2 {
		t.Errorf("%v", err)
	}
}
