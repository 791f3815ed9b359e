package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

// money has a column of any range, one of percents and one of shares.
func money() ingest.Schema {
	return ingest.Schema{Columns: []ingest.Column{
		{Name: "id", Kind: ingest.Text, Required: true},
		{Name: "charge", Kind: ingest.Number, Required: true, MissingWords: []string{"-"}},
		{Name: "percent", Kind: ingest.Number, Min: bound(0), Max: bound(100)},
		{Name: "share", Kind: ingest.Number, Min: bound(0), Max: bound(1)},
	}}
}

// decide reads a file's header and decides its style.
func decide(t *testing.T, file string, s ingest.Schema, stated ingest.NumberStyle) (ingest.NumberStyle, error) {
	t.Helper()
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := ingest.Map(s, header)
	if err != nil {
		t.Fatal(err)
	}
	sample, _, err := ingest.ReadSample(body)
	if err != nil {
		t.Fatal(err)
	}
	return m.DecideNumbers(sample, stated)
}

func TestNumbersAreReadInTheirStyle(t *testing.T) {
	ingest.WithKernels(t, func(t *testing.T) {
		point, comma := ingest.NumberStyle{}, ingest.NumberStyle{Decimal: ","}
		for _, c := range []struct {
			style      ingest.NumberStyle
			cell, want string // the plain decimal, or a code
		}{
			{point, "91.15", "91.15"},
			{point, "1,384.45", "1384.45"},
			{point, "1,384", "1384"},
			{point, "12,34,567.5", "1.2345675e+06"},
			{point, "1 384.45", "1384.45"},
			{point, "1\u00a0384", "1384"},
			{point, "1\u202f384\u202f000", "1.384e+06"},
			{point, "1'384.5", "1384.5"},
			{point, "1’384.5", "1384.5"},
			{point, "$91.15", "91.15"},
			{point, "-$91.15", "-91.15"},
			{point, "US$ 91.15", "91.15"},
			{point, "91.15 USD", "91.15"},
			{point, "91.15 €", "91.15"},
			{point, "(91.15)", "-91.15"},
			{point, "$(1,091.15)", "-1091.15"},
			{point, "91.15-", "-91.15"},
			{point, "−91.15", "-91.15"},
			{point, "+1,384.5", "1384.5"},
			{point, "91,15", "ERR-1612"},
			{point, "1.384,45", "ERR-1612"},
			{point, "1,38,4", "ERR-1602"},
			{point, "1,384,45", "ERR-1602"},
			{point, "0,384,450", "ERR-1602"},
			{point, "1 384,450", "ERR-1612"},
			{point, "(-5)", "ERR-1602"},
			{point, "5 apples", "ERR-1602"},
			{point, "01.02.2024", "ERR-1602"},
			{comma, "91,15", "91.15"},
			{comma, "1.384,45", "1384.45"},
			{comma, "1.384", "1384"},
			{comma, "1.384.000", "1.384e+06"},
			{comma, "1 384,5", "1384.5"},
			{comma, "91,15 €", "91.15"},
			{comma, "1,384", "1.384"},
			{comma, ",5", "0.5"},
			{comma, "12", "12"},
			{comma, "1e3", "1000"},
			{comma, "91.15", "ERR-1612"},
			{comma, "1.5e3", "ERR-1612"},
			{comma, "1.38", "ERR-1612"},
			{ingest.NumberStyle{Decimal: ",", Thousands: "space"}, "1.384", "ERR-1612"},
			{ingest.NumberStyle{Thousands: "none"}, "1,384", "ERR-1612"},
		} {
			o := readStyled(fmt.Sprintf("id;charge\n%s", strings.Repeat(`A;"`+c.cell+"\"\n", 17)), money(), c.style)
			got := strings.Join(append(o.rows, o.rejects...), " ")
			want := fmt.Sprintf("1:A|%s|∅|∅", c.want)
			if strings.HasPrefix(c.want, "ERR") {
				want = "1/2 " + c.want + " charge"
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%+v %q: %.60s, want %s", c.style, c.cell, got, want)
			}
		}
		o := readStyled("id;charge;percent;share\nA;1;45 %;45%\nB;1;33.33%;33.33%\nC;45%;;\n", money(), point)
		equalLists(t, "percents", o.rows, []string{"1:A|1|45|0.45", "2:B|1|33.33|0.3333"})
		equalLists(t, "percents", o.rejects, []string{"3/4 ERR-1602 charge"})
		if o.warnings["ERR-1657 percent"] != 2 {
			t.Errorf("warnings %v", o.warnings)
		}
	})
}

// readStyled takes a file in one style all the way.
func readStyled(file string, s ingest.Schema, style ingest.NumberStyle) outcome {
	header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
	if err != nil {
		return outcome{err: err}
	}
	m, err := ingest.Map(s, header)
	m.Numbers = style
	o := outcome{warnings: map[string]int64{}, err: err}
	if err == nil {
		o.body(body, header, m, ingest.Limits{})
	}
	return o
}

func TestStyleIsDecidedForTheFile(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"plain", "id,charge\nA,91.15\nB,1.384\n", "1,234.56"},
		{"decimal comma", "id;charge\nA;91,15\nB;1.384\n", "1.234,56"},
		{"decimal comma, quoted", "id,charge\nA,\"91,15\"\nB,80\n", "1.234,56"},
		{"with thousands", "id;charge\nA;1.384,45\n", "1.234,56"},
		{"twice a point", "id;charge\nA;1.384.450\n", "1.234,56"},
		{"English thousands", "id,charge\nA,\"1,384.45\"\nB,\"1,384\"\n", "1,234.56"},
		{"thousands alone, with commas", "id,charge\nA,\"1,384\"\n", "1,234.56"},
		{"points and three digits, with commas", "id,charge\nA,1.384\n", "1,234.56"},
		{"thousands or decimals", "id;charge\nA;1.384\nB;91\nC;18.500\n", "A 2 1.384 or 1384"},
		{"thousands or decimals of commas", "id;charge\nA;1,384\nB;91\n", "A 2 1384 or 1.384"},
		{"the same with euros", "id\tcharge\nA\t1.384 €\n", "A 2 1.384 or 1384"},
		{"a zero in front shows decimals", "id;charge\nA;1.384\nB;0.125\n", "1,234.56"},
		{"other digits show decimals", "id;charge\nA;1.384\nB;99.5\n", "1,234.56"},
		{"but only of their column", "id;charge;percent\nA;1.384;99.5\n", "A 2 1.384 or 1384"},
		{"with commas of all", "id,charge,percent\nA,1.384,99.5\n", "1,234.56"},
		{"no point at all", "id;charge\nA;1384\n", "1,234.56"},
		{"both styles", "id;charge\nA;91.15\nB;91,15\nC;80,05\n", "A 2 and 3"},
		{"both, undecided", "id;charge\nA;1.384\nB;1,384\n", "A 2 and 3"},
		{"one mistake", "id,charge\nA,91.15\nB,\"91,15\"\nC,80.05\nD,80.05\n", "1,234.56"},
		{"words are no numbers", "id;charge\nA;x,15\nB;91.15\n", "1,234.56"},
		{"unread columns do not matter", "id;charge;note\nA;91.15;1,5\nB;91.15;1,5\n", "1,234.56"},
	} {
		style, err := decide(t, c.file, money(), ingest.NumberStyle{})
		got := style.String()
		var e *ingest.NumberStyleError
		if errors.As(err, &e) {
			got = fmt.Sprintf("A %d %s or %s", e.Line, e.AsPoint, e.AsComma)
			if e.Other != "" {
				got = fmt.Sprintf("A %d and %d", e.Line, e.OtherLine)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s %v, want %s", c.name, got, err, c.want)
		}
	}
	for _, stated := range []ingest.NumberStyle{{Decimal: "."}, {Decimal: ","}} {
		if style, err := decide(t, "id;charge\nA;1.384\nB;91.15\nC;91,15\n", money(), stated); err != nil || style != stated {
			t.Errorf("stated %v: %v %v", stated, style, err)
		}
	}
}

// Rows that were rejected for their style come back alone: their file's style is the one of the file that they came from.
func TestRejectsKeepTheStyleOfTheirFile(t *testing.T) {
	for _, c := range []struct {
		file, want string
		style      ingest.NumberStyle
	}{
		{"id;charge;share\nA;91,15;1\n", "1,234.56", ingest.NumberStyle{}},
		{"id;charge;share\nA;91.15;0,5\n", "1.234,56", ingest.NumberStyle{Decimal: ","}},
	} {
		first := readStyled(c.file, money(), c.style)
		rejects := strings.TrimSuffix(c.file[:strings.IndexByte(c.file, '\n')], "\r") + ";_row;_line;_code;_column;_reason\n" + first.out
		style, err := decide(t, rejects, money(), ingest.NumberStyle{})
		if err != nil || style.String() != c.want || len(first.rejects) != 1 {
			t.Errorf("%q: %v %v %v", rejects, style, err, first.rejects)
		}
		if again := readStyled(rejects, money(), style); len(again.rejects) != 1 {
			t.Errorf("%q: passes when it comes back: %v", rejects, again.rows)
		}
	}
}

func TestParseNumberStyle(t *testing.T) {
	for _, c := range []struct{ decimal, thousands, want string }{
		{"", "", "1,234.56"},
		{",", "", "1.234,56"},
		{"", ".", "1.234,56"},
		{"", ",", "1,234.56"},
		{"comma", "space", "1 234,56"},
		{".", "'", "1'234.56"},
		{"", "none", "1234.56"},
		{".", ".", ""},
		{";", "", ""},
		{"", "x", ""},
		{"point", "comma", "1,234.56"},
	} {
		style, err := ingest.ParseNumberStyle(c.decimal, c.thousands)
		if (err != nil) != (c.want == "") || err == nil && style.String() != c.want {
			t.Errorf("%+v: %s %v", c, style, err)
		}
	}
}

// The style depends on the first megabyte alone, however it arrives, and takes nothing from the body.
func TestStyleIsDecidedFromTheFirstMegabyte(t *testing.T) {
	var b strings.Builder
	b.WriteString("id;charge\n")
	for b.Len() < 1<<20+20 {
		b.WriteString("A;12\n")
	}
	late := b.String() + "B;91,15\n"
	if style, err := decide(t, late, money(), ingest.NumberStyle{}); err != nil || style != (ingest.NumberStyle{}) {
		t.Errorf("a late comma decides: %v %v", style, err)
	}
	if style, err := decide(t, "id;charge\nB;91,15\n"+late[10:], money(), ingest.NumberStyle{}); err != nil ||
		style.Decimal != "," {
		t.Errorf("an early comma does not: %v %v", style, err)
	}
	p, err := ingest.NewPlanner(strings.NewReader(late), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Sample(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(p); err != nil || string(got) != late {
		t.Errorf("the planner gives %d bytes of %d: %v", len(got), len(late), err)
	}
}

// Files of plain decimals are never refused and never read otherwise than before, whatever their delimiter.
func TestCleanFilesKeepTheirStyle(t *testing.T) {
	random := rand.New(rand.NewPCG(18, 2))
	for file := range 1000 {
		delimiter := ",;\t|"[random.IntN(4)]
		text := cleanFile(random, delimiter)
		style, err := decide(t, text, money(), ingest.NumberStyle{})
		if err != nil || style.Decimal == "," {
			t.Fatalf("file %d, %q: %v %v\n%s", file, delimiter, style, err, text[:min(len(text), 400)])
		}
	}
}

// cleanFile has numbers of any size, some far from what training saw, and columns of numbers that are not read. With
// semicolons one of its numbers shows that the point is a decimal one.
func cleanFile(random *rand.Rand, delimiter byte) string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll("id,age,charge,percent,share,zip,note\n", ",", string(delimiter)))
	places := random.IntN(4)
	if places == 3 && delimiter == ';' {
		places = 2 // three digits behind every point may be thousands there
	}
	scale := []float64{1, 100, 1e4, 1e7}[random.IntN(4)]
	for range 1 + random.IntN(60) {
		fmt.Fprintf(&b, "C-%d,%d,%.*f,%d,%.3f,%d,%d\n", random.IntN(1e6), random.IntN(100), places, random.Float64()*scale,
			random.IntN(140), random.Float64(), random.IntN(99999), random.IntN(1000))
	}
	return strings.ReplaceAll(b.String(), ",", string(delimiter))
}
