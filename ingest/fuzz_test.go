package ingest_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/retainwise/millrace/ingest"
)

// oracle is what encoding/csv, strict as it comes, makes of rows, in the words of outcome. Its verdict on quotes is
// ours; what else we refuse follows from the cells.
func oracle(body string, width int) (rows, rejects []string, broken bool) {
	r := csv.NewReader(strings.NewReader(body))
	r.FieldsPerRecord = -1
	for n := 1; ; n++ {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, rejects, false
		}
		if err != nil {
			return nil, nil, true
		}
		line, _ := r.FieldPos(0)
		if reason := refusal(cells, width); reason != "" {
			rejects = append(rejects, fmt.Sprintf("%d/%d %s", n, line+1, reason))
			continue
		}
		for i := range cells {
			if strings.TrimSpace(cells[i]) == "" {
				cells[i] = "∅"
			}
		}
		rows = append(rows, fmt.Sprintf("%d:%s", n, strings.Join(cells, "|")))
	}
}

func refusal(cells []string, width int) string {
	has := func(test func(cell string) bool) bool { return slices.ContainsFunc(cells, test) }
	switch {
	case len(cells) != width:
		return "ERR-1601"
	case has(func(cell string) bool { return strings.Contains(cell, "\x00") }):
		return "ERR-1609"
	case has(func(cell string) bool { return !utf8.ValidString(cell) }):
		return "ERR-1606"
	}
	return ""
}

// simple takes off what encoding/csv does not keep: CRLF inside quotes is LF there, and a reject names no column.
func (o outcome) simple() outcome {
	for i := range o.rows {
		o.rows[i] = strings.ReplaceAll(o.rows[i], "\r\n", "\n")
	}
	for i := range o.rejects {
		fields := strings.Fields(o.rejects[i])
		o.rejects[i] = fields[0] + " " + fields[1]
	}
	return o
}

func FuzzAgainstEncodingCSV(f *testing.F) {
	for _, seed := range spectrum {
		f.Add(seed)
	}
	schema := texts("a", "b")
	limits := ingest.Limits{ChunkBytes: 16 << 10}
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Trim(body, "\r\n") == "" {
			return // no row
		}
		for line := range strings.Lines(body) {
			if strings.Trim(line, ", \r\n") == "" && strings.Contains(line, ",") {
				return // it is passed over, which encoding/csv does not know
			}
		}
		rows, rejects, broken := oracle(body, 2)
		got := read("a,b\n"+body, schema, limits, nil)
		var quote *ingest.QuoteError
		if broken { // encoding/csv gives the whole file up, we a row
			if errors.As(got.err, &quote) != quoteNeverCloses(body) {
				t.Fatalf("%q: never closed: %v, we say %v", body, quoteNeverCloses(body), got.err)
			}
			planned, _, err := plan(strings.NewReader("a,b\n"+body), limits)
			if fmt.Sprint(err) != fmt.Sprint(got.err) || err == nil && planned.Rows != got.read {
				t.Fatalf("%q: the planner sees %d rows, %v; the converter %d, %v", body, planned.Rows, err, got.read, got.err)
			}
			return
		}
		if got.err != nil {
			t.Fatalf("%q: %v", body, got.err)
		}
		got = got.simple()
		equalLists(t, fmt.Sprintf("rows of %q", body), got.rows, rows)
		equalLists(t, fmt.Sprintf("rejects of %q", body), got.rejects, rejects)
		planned, _, err := plan(strings.NewReader("a,b\n"+body), limits)
		if err != nil || planned.Rows != got.read || planned.Lines != got.lines+1 {
			t.Errorf("%q: plan %+v, %v; read %d rows, %d lines", body, planned, err, got.read, got.lines)
		}
	})
}

// FuzzCuts: a file becomes the same however its bytes arrive and however small the chunks are.
func FuzzCuts(f *testing.F) {
	for i, seed := range spectrum {
		f.Add(seed, uint8(i))
	}
	schema := churn()
	f.Fuzz(func(t *testing.T, body string, size uint8) {
		file := churnHeader + body
		limits := ingest.Limits{ChunkBytes: 16 << 10}
		want := read(file, schema, limits, nil)
		got := read(file, schema, limits, iotest.OneByteReader)
		sameOutcome(t, file, got, want)
		got = read(file, schema, ingest.Limits{ChunkBytes: 1 + int(size)}, iotest.HalfReader)
		if want.err == nil || got.err == nil {
			sameOutcome(t, file, got, want)
		}
	})
}

func sameOutcome(t *testing.T, file string, got, want outcome) {
	t.Helper()
	if fmt.Sprint(got.err) != fmt.Sprint(want.err) {
		t.Fatalf("%q: error %v, want %v", file, got.err, want.err)
	}
	equalLists(t, fmt.Sprintf("rows of %q", file), got.rows, want.rows)
	equalLists(t, fmt.Sprintf("raw rows of %q", file), got.raw, want.raw)
	equalLists(t, fmt.Sprintf("rejects of %q", file), got.rejects, want.rejects)
	counts := got.read == want.read && got.lines == want.lines && maps.Equal(got.warnings, want.warnings)
	if got.out != want.out || !counts {
		t.Errorf("%q: got %+v, want %+v", file, got, want)
	}
}

// FuzzUnpack: no packed bytes make it panic, hang or grow beyond the limits.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00\x99\xe9\xd8\x51"))
	f.Fuzz(func(t *testing.T, packed []byte) {
		u, err := ingest.Unpack(bytes.NewReader(packed), ingest.Limits{UnpackedMax: 1 << 20})
		if err != nil {
			return
		}
		if n, _ := io.Copy(io.Discard, u); n > 1<<20 {
			t.Errorf("%d bytes came out", n)
		}
	})
}

// spectrum is what CSV can look like, our own cases in the manner of csv-spectrum.
var spectrum = []string{
	"1,2\n", "1,2", "1,2\r\n3,4\r\n", "1,2\r\n3,4\r", "\n1,2\n\n\n3,4\n\n", "\r\n\r\n1,2",
	"\"1\",\"2\"\n", "\"1\",2\n3,\"4\"\r\n", "\"a,b\",c\n", "\"a\nb\",c\n", "\"a\r\nb\",\"\r\n\"\r\n",
	"\"\"\"\",\"\"\"\"\"\"\n", "\"\",\"\"\n", ",\n", ",,\n", "a\n", "a,b,c\n1,2\n", " a , b \n",
	"\"a\" ,b\n", " \"a\",b\n", "a\"b,c\n", "\"a\"b,c\n", "\"a,b\n", "\"a,b\n1,2\n\"", "a,\"", "a,\"\"\"",
	"\"\"a,b\n", "\"a\"\"b\",c\n", "\"a\"\r,b\n", "a\r,b\n", "a,b\r\r\n", "{\"x\":1},\"{\"\"y\"\":2}\"\n",
	"é,ß\n\xff,1\n\x00,1\n1,\xc3\n", "\u2028,\u00a0\n", "=1+1,@x\n", "'a','b'\n", "a;b\n", "a\tb,c\n", "\ufeffa,b\n",
	"A,5,1.25,Monthly,Yes\n", "B, 5,-999,monthly,No\r\n\r\n,1,2,3,4\n",
	"C,x,1,Monthly,Yes\nD,inf,,Foo,maybe\nE,1001,NA,,\n", "\"F\n\",\"1\",\"2\",\"One year\",\"Yes\"\n",
	strings.Repeat("long row,", 40) + "\n", strings.Repeat("1,2\n", 40), strings.Repeat("\"\n\",\"\"\"\"\n", 20),
}
