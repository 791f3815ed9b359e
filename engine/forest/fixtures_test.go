package forest_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// fixture is an entry of testdata/forest/index.json: a model and what its own library says about some rows.
type fixture struct {
	Name      string
	Library   string
	Models    []string
	Rows      int
	Features  int
	Classes   int
	Outputs   map[string]int // table -> rows it covers
	Cells     bool
	RawIsSum  bool   `json:"raw_is_sum"`
	Refused   string // the kind of error instead of outputs
	Predicted string `json:"probability_is"` // "class" where the library offers no probability
	Linear    bool
}

func fixtureDir() string { return filepath.Join("..", "..", "testdata", "forest") }

func readFixtures(t testing.TB) []fixture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtureDir(), "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Cases []fixture }
	if err := json.Unmarshal(data, &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Cases) == 0 {
		t.Fatal("no fixtures")
	}
	return index.Cases
}

// eachFixture runs a test per model file of every scored fixture.
func eachFixture(t *testing.T, test func(t *testing.T, fx fixture, f *forest.Forest)) {
	t.Helper()
	fixturesWith(t, func(fixture) bool { return true }, test)
}

// fixturesWith does so for the scored fixtures that have what the test needs; one without any is a failure.
func fixturesWith(t *testing.T, has func(fixture) bool, test func(t *testing.T, fx fixture, f *forest.Forest)) {
	t.Helper()
	tested := 0
	for _, fx := range readFixtures(t) {
		if fx.Refused != "" || !has(fx) {
			continue
		}
		tested++
		for _, model := range fx.Models {
			t.Run(fx.Name+"/"+model, func(t *testing.T) {
				test(t, fx, fx.read(t, model))
			})
		}
	}
	if tested == 0 {
		t.Error("no fixture has what the test needs")
	}
}

func (fx fixture) bytes(t testing.TB, model string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixtureDir(), fx.Name, model))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (fx fixture) read(t testing.TB, model string) *forest.Forest {
	t.Helper()
	f, err := forest.Read(model, fx.bytes(t, model), forest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// table reads one of the library's outputs, a row per line.
func (fx fixture) table(t testing.TB, name string) [][]float64 {
	t.Helper()
	data := fx.bytes(t, name+".tsv")
	var table [][]float64
	for line := range strings.Lines(string(data)) {
		var row []float64
		for cell := range strings.SplitSeq(strings.TrimRight(line, "\n"), "\t") {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, v)
		}
		table = append(table, row)
	}
	return table
}

// rows reads the fixture's input, column by column.
func (fx fixture) rows(t testing.TB) forest.Rows {
	t.Helper()
	return columns(fx.table(t, "x"))
}

func columns(table [][]float64) forest.Rows {
	rows := forest.Rows{Len: len(table)}
	if len(table) == 0 {
		return rows
	}
	rows.Columns = make([]forest.Column, len(table[0]))
	for c := range rows.Columns {
		rows.Columns[c].Numbers = make([]float64, len(table))
		for r := range table {
			rows.Columns[c].Numbers[r] = table[r][c]
		}
	}
	return rows
}

func flat(table [][]float64) []float64 {
	var all []float64
	for _, row := range table {
		all = append(all, row...)
	}
	return all
}

// sameBits reports the first difference between got and want; a zero equals a zero of either sign.
func sameBits(t testing.TB, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// near reports the first value that is further than within from the wanted one, relative above 1.
func near(t testing.TB, got, want []float64, within float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= within*math.Max(1, math.Abs(want[i]))) && got[i] != want[i] {
			t.Fatalf("value %d is %v, want %v within %g", i, got[i], want[i], within)
		}
	}
}
