package ingest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

// customers is what a telecom model reads, with its training ranges.
func customers() ingest.Schema {
	return ingest.Schema{Columns: []ingest.Column{
		{Name: "id", Kind: ingest.Text, Required: true, NotEmpty: true},
		{Name: "contract", Kind: ingest.Category, Required: true, Categories: []string{"Month-to-month", "One year", "Two year"}},
		{Name: "tenure", Kind: ingest.Number, Required: true, Min: bound(0), Max: bound(72)},
		{Name: "monthly", Kind: ingest.Number, Required: true, Min: bound(18.25), Max: bound(118.75)},
		{Name: "total", Kind: ingest.Number, Required: true, Min: bound(18.8), Max: bound(8684.8)},
	}}
}

// shiftedFile writes decimals with a comma and no quotes, and leaves out as many cells at the end as that makes more.
func shiftedFile(random *rand.Rand, rows int, thousands bool) string {
	var b strings.Builder
	if thousands {
		b.WriteString("id,contract,income,tenure,monthly,total,note\n")
	} else {
		b.WriteString("id,contract,tenure,monthly,total,note\n")
	}
	for i := range rows {
		contract := customers().Columns[1].Categories[random.IntN(3)]
		tenure, cents := 1+random.IntN(72), 1825+random.IntN(10050)
		total := max(19, tenure*cents/100)
		if thousands {
			fmt.Fprintf(&b, "C%d,%s,%d,%03d,%d,%d,%d\n", i, contract, 20+random.IntN(80), random.IntN(1000), tenure, cents/100, total)
		} else {
			fmt.Fprintf(&b, "C%d,%s,%d,%d,%02d,%d\n", i, contract, tenure, cents/100, cents%100, total)
		}
	}
	return b.String()
}

func TestShiftedRowsAreFound(t *testing.T) {
	found := func(file string) (*ingest.ShiftedRowsError, bool) {
		_, err := decide(t, file, customers(), ingest.NumberStyle{})
		var e *ingest.ShiftedRowsError
		return e, errors.As(err, &e)
	}
	e, ok := found("id,contract,tenure,monthly,total,note1\nA,Month-to-month,15,91,15,1384\nB,One year,38,80,05,3163\n" +
		"C,Month-to-month,22,61,3,1348\nD,Two year,56,80,05,4490\n")
	if !ok || e.Line != 2 || e.Column != "monthly" || e.Cell != "91,15" || e.Rows != 4 {
		t.Errorf("the given case: %+v", e)
	}
	random := rand.New(rand.NewPCG(18, 3))
	for _, c := range []struct {
		thousands bool
		rows      int
		missed    int // most in 200 files: what docs/files.md states
	}{{false, 4, 140}, {false, 20, 20}, {false, 100, 0}, {true, 4, 40}, {true, 20, 0}, {true, 300, 0}} {
		missed := 0
		for range 200 {
			if _, ok := found(shiftedFile(random, c.rows, c.thousands)); !ok {
				missed++
			}
		}
		if missed > c.missed {
			t.Errorf("%+v: %d of 200 files missed", c, missed)
		}
	}
}

// Files that are right are not taken for shifted ones: with numbers beyond training, and with numbers in columns that are
// not read on either side.
func TestRightRowsAreNotShifted(t *testing.T) {
	random := rand.New(rand.NewPCG(18, 4))
	for file := range 1000 {
		var b strings.Builder
		b.WriteString("id,contract,age,tenure,monthly,total,zip,note\n")
		scale := []int{1, 1, 10, 100}[random.IntN(4)]
		for i := range 1 + random.IntN(40) {
			tenure, monthly := random.IntN(90), (18+random.IntN(110))*scale
			fmt.Fprintf(&b, "C%d,%s,%d,%d,%d,%d,%d,%d\n", i, customers().Columns[1].Categories[random.IntN(3)], random.IntN(100),
				tenure, monthly, tenure*monthly, random.IntN(99999), random.IntN(1000))
		}
		if _, err := decide(t, b.String(), customers(), ingest.NumberStyle{}); err != nil {
			t.Fatalf("file %d: %v\n%s", file, err, b.String())
		}
	}
}
