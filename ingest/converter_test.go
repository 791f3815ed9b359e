package ingest_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

func bound(v float64) *float64 { return &v }

// churn has every rule that a column can have.
func churn() ingest.Schema {
	return ingest.Schema{Columns: []ingest.Column{
		{Name: "id", Kind: ingest.Text, Required: true, NotEmpty: true, MissingWords: []string{"n/a"}},
		{Name: "tenure", Kind: ingest.Number, Min: bound(0), Max: bound(72), AllowedMin: bound(-1), AllowedMax: bound(1000)},
		{Name: "charge", Kind: ingest.Number, MissingWords: []string{"NA", " - ", "-999"}},
		{
			Name: "contract", Kind: ingest.Category, Categories: []string{"Monthly", "One year", "Two year"},
			Spellings: map[string]string{"monthly": "Monthly", "1 year": "One year"}, MissingWords: []string{"NA"},
		},
		{Name: "paid", Kind: ingest.Category, Categories: []string{"Yes", "No"}, RefuseUnknown: true},
	}}
}

const churnHeader = "id,tenure,charge,contract,paid\n"

func TestConvertCells(t *testing.T) { ingest.WithKernels(t, convertCells) }

func convertCells(t *testing.T) {
	f := func(row, want string, warnings ...string) {
		t.Helper()
		o := read(churnHeader+row+"\n", churn(), ingest.Limits{}, nil)
		if o.err != nil {
			t.Fatalf("%q: %v", row, o.err)
		}
		equalLists(t, row, o.rows, []string{"1:" + want})
		seen := map[string]int64{}
		for _, w := range warnings {
			seen[w]++
		}
		if !maps.Equal(o.warnings, seen) {
			t.Errorf("%q: warnings %v, want %v", row, o.warnings, seen)
		}
		if o.raw[0] != strings.TrimSuffix(row, "\r") {
			t.Errorf("%q: raw bytes %q", row, o.raw[0])
		}
		// Many such rows take the ways through the kernels that a single one is too small for.
		many := read(churnHeader+strings.Repeat(row+"\n", 40), churn(), ingest.Limits{}, nil)
		for i, got := range many.rows {
			if wanted := fmt.Sprintf("%d:%s", i+1, want); got != wanted {
				t.Fatalf("%q: row %d of 40 is %q", row, i+1, got)
			}
		}
	}
	f(`A1,5,1.25,Monthly,Yes`, "A1|5|1.25|Monthly|Yes")
	f(`"A1","5","1.25","Monthly","Yes"`, "A1|5|1.25|Monthly|Yes")
	f("A1,5,1.25,Monthly,\"Yes\"\r", "A1|5|1.25|Monthly|Yes")
	// Ids are bytes: leading zeros, inner blanks and outer ones stay.
	f(`007,1,1,Monthly,No`, "007|1|1|Monthly|No")
	f(` A 1 ,1,1,Monthly,No`, " A 1 |1|1|Monthly|No")
	f(`"a""b,c",1,1,Monthly,No`, `a"b,c|1|1|Monthly|No`)
	f("\"two\nlines\",1,1,Monthly,No", "two\nlines|1|1|Monthly|No")
	f(`é,1,1,Monthly,No`, "é|1|1|Monthly|No")
	// Numbers.
	f(`A,.5,5.,Monthly,No`, "A|0.5|5|Monthly|No")
	f(`A,1e1,-2E-1,Monthly,No`, "A|10|-0.2|Monthly|No")
	f(`A,+1,-0,Monthly,No`, "A|1|-0|Monthly|No")
	f(`A,0000000000000000000000001,1,Monthly,No`, "A|1|1|Monthly|No")
	f(`A,1,0.30000000000000004,Monthly,No`, "A|1|0.30000000000000004|Monthly|No")
	f(`A,1,9007199254740993,Monthly,No`, "A|1|9.007199254740992e+15|Monthly|No", "ERR-1654 charge")
	f(`A, 7 ,1,Monthly,No`, "A|7|1|Monthly|No", "ERR-1654 tenure")
	f("A,7\r,1,Monthly,No", "A|7|1|Monthly|No", "ERR-1654 tenure")
	f("A,\u00a07,1,Monthly,No", "A|7|1|Monthly|No", "ERR-1654 tenure")
	f(`A,1,1e-400,Monthly,No`, "A|1|0|Monthly|No")
	// Outside training, inside what is allowed.
	f(`A,73,1,Monthly,No`, "A|73|1|Monthly|No", "ERR-1651 tenure")
	f(`A,-1,1,Monthly,No`, "A|-1|1|Monthly|No", "ERR-1651 tenure")
	f(`A, 1000,1,Monthly,No`, "A|1000|1|Monthly|No", "ERR-1651 tenure", "ERR-1654 tenure")
	// Missing.
	f(`A,,,,`, "A|∅|∅|∅|∅", "ERR-1652 tenure", "ERR-1652 charge", "ERR-1652 contract", "ERR-1652 paid")
	f(`A,"",  ,"",""`, "A|∅|∅|∅|∅", "ERR-1652 tenure", "ERR-1652 charge", "ERR-1652 contract", "ERR-1652 paid")
	f(`A,1,NA,NA,No`, "A|1|∅|∅|No", "ERR-1652 charge", "ERR-1652 contract")
	f(`A,1, -,"NA ",No`, "A|1|∅|∅|No", "ERR-1652 charge", "ERR-1652 contract")
	f(`A,1,-999,Monthly,No`, "A|1|∅|Monthly|No", "ERR-1652 charge")
	f(`A,1,-999.0,Monthly,No`, "A|1|-999|Monthly|No")
	// Categories are compared as bytes; only the schema's spellings soften that.
	f(`A,1,1,monthly,No`, "A|1|1|Monthly|No", "ERR-1654 contract")
	f(`A,1,1,"1 year",No`, "A|1|1|One year|No", "ERR-1654 contract")
	f(`A,1,1," One year",No`, "A|1|1|One year|No", "ERR-1654 contract")
	f(`A,1,1,MONTHLY,No`, "A|1|1|Monthly|No", "ERR-1656 contract")
	f(`A,1,1,"Mon""thly",No`, "A|1|1|?|No", "ERR-1653 contract")
	f(`A,1,1,Two year and a text that is much longer than sixty-four bytes are,No`, "A|1|1|?|No", "ERR-1653 contract")
}

func TestConvertRejects(t *testing.T) { ingest.WithKernels(t, convertRejects) }

func convertRejects(t *testing.T) {
	limits := ingest.Limits{FieldBytesMax: 40}
	f := func(row, want string) {
		t.Helper()
		good := "G,1,1,Monthly,Yes\n"
		o := read(churnHeader+good+row+"\n"+good, churn(), limits, nil)
		if o.err != nil {
			t.Fatalf("%q: %v", row, o.err)
		}
		equalLists(t, row, o.rejects, []string{"2/3 " + want})
		equalLists(t, row, o.rows, []string{"1:G|1|1|Monthly|Yes", "3:G|1|1|Monthly|Yes"})
		if len(o.warnings) != 0 {
			t.Errorf("%q: warnings %v of a row that is not scored", row, o.warnings)
		}
	}
	f("A,1,1,Monthly", "ERR-1601")
	f("A", "ERR-1601")
	f("   ", "ERR-1601")
	f("A,1,1,Monthly,Yes,", "ERR-1601")
	f(`A,"1,1",Monthly,Yes`, "ERR-1601")
	for _, text := range []string{
		"1.234.56", "5 m", "$5%", "(5", `"1,2345x"`, "1 23", "$", "12-13", "1_000", "0x1p-2", "1e", "e5", ".", "-", "+", "1-2", "1 2", "nan", "NaN",
		"--1", "1.2.3", "1e5.0", "١",
	} {
		f("A,"+text+",1,Monthly,Yes", "ERR-1602 tenure")
	}
	for _, text := range []string{`"1,5"`, `"1.234,5"`, `"0,125"`} {
		f("A,"+text+",1,Monthly,Yes", "ERR-1612 tenure")
	}
	f(`A,"1,234",1,Monthly,Yes`, "ERR-1610 tenure")
	for _, text := range []string{"inf", "-Inf", "Infinity", "+INFINITY", "1e400", "-1e999"} {
		f("A,"+text+",1,Monthly,Yes", "ERR-1603 tenure")
	}
	f(",1,1,Monthly,Yes", "ERR-1604 id")
	f("  ,1,1,Monthly,Yes", "ERR-1604 id")
	f(`"",1,1,Monthly,Yes`, "ERR-1604 id")
	f("n/a,1,1,Monthly,Yes", "ERR-1604 id")
	f(" n/a ,1,1,Monthly,Yes", "ERR-1604 id")
	f("A,1,1,Monthly,"+strings.Repeat("y", 41), "ERR-1605 paid")
	f("A\xff,1,1,Monthly,Yes", "ERR-1606 id")
	f("A,1,1,\xc3,Yes", "ERR-1606 contract")
	f("A,1,\x00,Monthly,Yes", "ERR-1609 charge")
	f("A,1000.5,1,Monthly,Yes", "ERR-1610 tenure")
	f("A,-2,1,Monthly,Yes", "ERR-1610 tenure")
	f("A,1,1,Monthly,maybe", "ERR-1611 paid")
	// The first field's reason is the one; remarks of the same row do not count.
	f("A,x,y,unheard of,maybe", "ERR-1602 tenure")
	f("A, 100 ,,monthly,maybe", "ERR-1611 paid")
	f(",x,1,Monthly,maybe", "ERR-1604 id")
}

func TestConvertLines(t *testing.T) {
	f := func(body string, lines int64, want ...string) {
		t.Helper()
		o := read("a,b\n"+body, texts("a", "b"), ingest.Limits{}, nil)
		if o.err != nil {
			t.Fatalf("%q: %v", body, o.err)
		}
		equalLists(t, body, o.rows, want)
		if o.lines != lines {
			t.Errorf("%q: %d lines, want %d", body, o.lines, lines)
		}
	}
	f("1,2\n3,4\n", 2, "1:1|2", "2:3|4")
	f("1,2\n3,4", 2, "1:1|2", "2:3|4")
	f("1,2\r\n3,4\r\n", 2, "1:1|2", "2:3|4")
	f("1,2\r\n3,4\r", 2, "1:1|2", "2:3|4")
	f("\n1,2\n\n\n3,4\n\n\n", 7, "1:1|2", "2:3|4")
	f("\r\n1,2\r\n\r\n3,4\r\n\r\n", 5, "1:1|2", "2:3|4")
	f("1,2\n\r", 2, "1:1|2")
	f("1\r,2\n", 1, "1:1\r|2")
	f("1,2\r\r\n", 1, "1:1|2\r")
	f("\"1\n\n\",2\n3,4\n", 4, "1:1\n\n|2", "2:3|4")
	f("1,\"2\"\r\n", 1, "1:1|2")
	f("1,\"2\"\r", 1, "1:1|2")
	f("1,2\n,\n, \n3,4\n", 4, "1:1|2", "2:3|4") // nothing but delimiters
}

func TestConvertOneColumn(t *testing.T) {
	o := read("a\n1\n\n\"\"\n2\n\r\n3", texts("a"), ingest.Limits{}, nil)
	if o.err != nil {
		t.Fatal(o.err)
	}
	equalLists(t, "rows", o.rows, []string{"1:1", "2:∅", "3:2", "4:3"})
}

// A file larger than many windows and chunks, with every kind of row.
func TestConvertManyWindows(t *testing.T) { ingest.WithKernels(t, convertManyWindows) }

func convertManyWindows(t *testing.T) {
	var file strings.Builder
	var rows, rejects []string
	file.WriteString(churnHeader)
	line := 1
	for n := 1; n <= 50_000; n++ {
		line++
		switch {
		case n%1000 == 7:
			fmt.Fprintf(&file, "id%d,many,1,Monthly,Yes\n", n)
			rejects = append(rejects, fmt.Sprintf("%d/%d ERR-1602 tenure", n, line))
		case n%1000 == 8:
			fmt.Fprintf(&file, "id%d\n", n)
			rejects = append(rejects, fmt.Sprintf("%d/%d ERR-1601", n, line))
		case n%1000 == 500:
			fmt.Fprintf(&file, "\"id\n%d\",%d,1.5,Two year,No\r\n", n, n%70)
			rows = append(rows, fmt.Sprintf("%d:id\n%d|%d|1.5|Two year|No", n, n, n%70))
			line++
		default:
			fmt.Fprintf(&file, "id%d,%d,%d.25,One year,Yes\n", n, n%70, n)
			rows = append(rows, fmt.Sprintf("%d:id%d|%d|%d.25|One year|Yes", n, n, n%70, n))
		}
	}
	o := read(file.String(), churn(), ingest.Limits{ChunkBytes: 200_000}, nil)
	if o.err != nil {
		t.Fatal(o.err)
	}
	equalLists(t, "rows", o.rows, rows)
	equalLists(t, "rejects", o.rejects, rejects)
	if o.read != 50_000 || o.lines != int64(line-1) {
		t.Errorf("read %d rows on %d lines, want 50000 on %d", o.read, o.lines, line-1)
	}
}

// A row longer than a window, and one that is nothing but separators.
func TestConvertLongRow(t *testing.T) { ingest.WithKernels(t, convertLongRow) }

func convertLongRow(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	o := read("a,b\n"+long+",1\n2,\""+long+"\"\n"+"x"+strings.Repeat(",", 100_000)+"\n3,4\n", texts("a", "b"),
		ingest.Limits{FieldBytesMax: 1 << 20}, nil)
	if o.err != nil {
		t.Fatal(o.err)
	}
	equalLists(t, "rows", o.rows, []string{"1:" + long + "|1", "2:2|" + long, "4:3|4"})
	equalLists(t, "rejects", o.rejects, []string{"3/4 ERR-1601"})
}

// Categories beyond what the kernels hold: too many, or too long.
func TestConvertManyCategories(t *testing.T) {
	ingest.WithKernels(t, func(t *testing.T) {
		column := ingest.Column{Name: "x", Kind: ingest.Category}
		var file strings.Builder
		file.WriteString("x\n")
		var want []string
		for i := range 1000 {
			text := fmt.Sprintf("plan %d", i)
			if i%10 == 0 {
				text += strings.Repeat(" and more", 5)
			}
			column.Categories = append(column.Categories, text)
			file.WriteString(text + "\n")
			want = append(want, fmt.Sprintf("%d:%s", i+1, text))
		}
		o := read(file.String(), ingest.Schema{Columns: []ingest.Column{column}}, ingest.Limits{}, nil)
		if o.err != nil {
			t.Fatal(o.err)
		}
		equalLists(t, "rows", o.rows, want)
	})
}

func TestRejectExpectations(t *testing.T) {
	many := strings.Split("abcdefghijkl", "")
	s := ingest.Schema{Columns: []ingest.Column{
		{Name: "low", Kind: ingest.Number, AllowedMin: bound(0.5)},
		{Name: "high", Kind: ingest.Number, AllowedMax: bound(7)},
		{Name: "many", Kind: ingest.Category, Categories: many, RefuseUnknown: true},
		{Name: "absent", Kind: ingest.Category, Categories: many},
		{Name: "absent too", Kind: ingest.Text},
	}}
	o := read("low,high,many\n0,1,a\n1,8,a\n1,1,z\n", s, ingest.Limits{}, nil)
	for _, want := range []string{
		"Expected a number of at least 0.5.", "Expected a number of at most 7.",
		"Expected one of 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j' and 2 more.",
	} {
		if !strings.Contains(o.out, want) {
			t.Errorf("%q is not in\n%s", want, o.out)
		}
	}
	o = read("low,high,many\n1,1,a\n", s, ingest.Limits{}, nil)
	equalLists(t, "rows", o.rows, []string{"1:1|1|a|∅|∅"})
}

func TestConvertColumnOrder(t *testing.T) {
	s := churn()
	file := "paid,extra,CONTRACT,charge,more,ID\nYes,x,Monthly,2,y,A\n"
	o := read(file, s, ingest.Limits{}, nil)
	if o.err != nil {
		t.Fatal(o.err)
	}
	equalLists(t, "rows", o.rows, []string{"1:A|∅|2|Monthly|Yes"})
	if len(o.warnings) != 0 {
		t.Errorf("a column that the file does not have is no warning, got %v", o.warnings)
	}
}

// The converter copies a chunk that has no readable bytes behind it, and never writes to it.
func TestConvertTightChunk(t *testing.T) {
	header, _, err := ingest.ReadHeader(strings.NewReader(churnHeader+"x"), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := ingest.Map(churn(), header)
	if err != nil {
		t.Fatal(err)
	}
	file := []byte("A,1,1,Monthly,Yes\nB,2,2,Monthly,NoC,3,3,Monthly,No\n")
	whole := string(file)
	converter := ingest.NewConverter(m, ingest.Limits{})
	for _, chunk := range [][]byte{file[:34], file[:34:34]} {
		batch, err := converter.Convert(ingest.Chunk{Position: header.Start(), Bytes: chunk, Rows: 2})
		if err != nil {
			t.Fatal(err)
		}
		if batch.Record.NumRows() != 2 || cellText(batch.Record.Column(7), 1) != "No" {
			t.Errorf("batch %v", batch.Record)
		}
	}
	if string(file) != whole {
		t.Errorf("chunk was changed to %q", file)
	}
}

// A batch costs a number of allocations, a row none.
func TestConvertAllocations(t *testing.T) {
	header := header(t, strings.TrimSuffix(churnHeader, "\n"))
	m, err := ingest.Map(churn(), header)
	if err != nil {
		t.Fatal(err)
	}
	c := ingest.NewConverter(m, ingest.Limits{})
	allocations := func(rows int) float64 {
		text := []byte(strings.Repeat("007,5,1.25,Monthly,Yes\n", rows))
		return testing.AllocsPerRun(20, func() {
			if _, err := c.Convert(ingest.Chunk{Position: header.Start(), Bytes: text}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if many, few := allocations(30_000), allocations(10); many > few {
		t.Errorf("%v allocations for 30000 rows, %v for 10", many, few)
	}
}

// What a converter hands out is its own: it lasts until the next chunk, and with the race detector visibly no longer.
func TestConvertBatchLifetime(t *testing.T) {
	header := header(t, strings.TrimSuffix(churnHeader, "\n"))
	m, err := ingest.Map(churn(), header)
	if err != nil {
		t.Fatal(err)
	}
	c := ingest.NewConverter(m, ingest.Limits{})
	first, err := c.Convert(ingest.Chunk{Position: header.Start(), Bytes: []byte("A,5,1.25,Monthly,Yes\n")})
	if err != nil {
		t.Fatal(err)
	}
	column := first.Record.Column(4)
	column.Retain()
	defer column.Release()
	if _, err := c.Convert(ingest.Chunk{Position: header.Start()}); err != nil {
		t.Fatal(err)
	}
	if got := cellText(column, 0); ingest.Poisoned && got != "-1.7976931348623157e+308" {
		t.Errorf("a batch that is over still reads %s", got)
	}
}
