package ingest_test

import (
	"encoding/csv"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRejectsGolden(t *testing.T) {
	file := "id;tenure;charge;contract;paid;\"note, \"\"own\"\"\"\r\n" +
		"A;1;1;Monthly;Yes;good\r\n" +
		"B;one;1;Monthly;Yes;\"a;b\"\r\n" +
		"C;inf;1;Monthly;Yes;\"two\r\nlines\"\r\n" +
		"\r\n" +
		";1;1;Monthly;Yes;x\r\n" +
		"D;1001;1;Monthly;Yes;x\r\n" +
		"E;1;1;Monthly;perhaps;x\r\n" +
		"F;1\r\n" +
		"G;1;1;Monthly;Yes;x;y;\"z \"\"Z\"\"\"\r\n" +
		"H;1;1;Monthly;Yes;" + strings.Repeat("x", 41) + "\r\n" +
		"I;1;1;Monthly;Yes;\xe9\r\n"
	o := read(file, churn(), ingest.Limits{FieldBytesMax: 40}, nil)
	if o.err != nil {
		t.Fatal(o.err)
	}
	if *update {
		if err := os.WriteFile("testdata/rejects.csv", []byte(o.out), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/rejects.csv")
	if err != nil {
		t.Fatal(err)
	}
	if o.out != string(want) {
		t.Errorf("got\n%s\nwant\n%s", o.out, want)
	}
}

// Any program can open a rejects file, and none of its rows is lost on the way back.
func TestRejectsRoundTrip(t *testing.T) {
	file := "id,tenure,charge,contract,paid\nA,x,1,Monthly,Yes\nB\nC,1,1,Monthly,Yes,1,\"2,3\"\nD,2,,,\n\"E\n\",y,,,\n"
	first := read(file, churn(), ingest.Limits{}, nil)
	if first.err != nil {
		t.Fatal(first.err)
	}
	records, err := csv.NewReader(strings.NewReader(first.out)).ReadAll()
	if err != nil {
		t.Fatalf("%v in\n%s", err, first.out)
	}
	if len(records) != 5 || len(records[0]) != 10 {
		t.Errorf("records %q", records)
	}
	mended := strings.NewReplacer(",x,", ",7,", ",y,", ",8,").Replace(first.out)
	second := read(mended, churn(), ingest.Limits{}, nil)
	if second.err != nil {
		t.Fatal(second.err)
	}
	equalLists(t, "mended rows", second.rows, []string{
		"1:A|7|1|Monthly|Yes", "4:E\n|8|∅|∅|∅",
	})
	// What is still wrong comes back with the columns of this time, not of both.
	equalLists(t, "rows still wrong", second.rejects, []string{"2/3 ERR-1601 tenure", "3/4 ERR-1601 paid"})
	header, _, _ := strings.Cut(second.out, "\n")
	if header != "id,tenure,charge,contract,paid,_row,_line,_code,_column,_reason" {
		t.Errorf("header %q", header)
	}
}

func TestRejectColumnNamesAreQuoted(t *testing.T) {
	s := ingest.Schema{Columns: []ingest.Column{{Name: `a, "b"`, Kind: ingest.Number}, {Name: "c"}}}
	o := read("\"a, \"\"b\"\"\",c\nx,1\n", s, ingest.Limits{}, nil)
	if o.err != nil {
		t.Fatal(o.err)
	}
	records, err := csv.NewReader(strings.NewReader(o.out)).ReadAll()
	if err != nil || records[1][5] != `a, "b"` {
		t.Errorf("%q, %v", records, err)
	}
}
