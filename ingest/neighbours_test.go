package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

var dirtyCells = [][]string{
	{"A1", "007", " x ", "", "n/a", "\"q\"", "\"a,\"\"b\"\"\"", "\"two\nlines\"", "é", "\xff", "a-longer-id-than-usual"},
	{"1", "72", "73", "-1", "-2", "1001", "", " 5", "5.5", "1e1", "x", "\"7\"", "inf", "1234567890123456", "0.123456789"},
	{"12.5", "-999", "NA", " - ", "", "1234.5678", "-0", "99999999.99999999", "\" 8\"", "1,5", "1_0", "123456789012.345"},
	{
		"Monthly", "One year", "Two year", "monthly", "\"1 year\"", "NA", "", "Weekly", " Monthly",
		"one of more than thirty-two bytes",
	},
	{"Yes", "No", "Yes", "No", "\"Yes\"", "", "perhaps", "Yes\r", "No,1"},
}

// dirtyRow is clean in most cells.
func dirtyRow(random *rand.Rand) string {
	cells := make([]string, len(dirtyCells))
	for i, all := range dirtyCells {
		cells[i] = all[random.IntN(2)]
		if random.IntN(25) == 0 {
			cells[i] = all[random.IntN(len(all))]
		}
	}
	return strings.Join(cells, ",")
}

// What becomes of a row does not depend on the rows around it, nor on the kernels: in a crowd it takes other paths than
// on its own.
func TestRowsAndTheirNeighbours(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 9))
	var file strings.Builder
	var want outcome
	alone := map[string]outcome{}
	file.WriteString(churnHeader)
	for n := 1; n <= 8000; n++ {
		row := dirtyRow(random)
		file.WriteString(row + "\n")
		o, known := alone[row]
		if !known {
			o = read(churnHeader+row+"\n", churn(), ingest.Limits{ChunkBytes: 4096}, nil)
			alone[row] = o
		}
		if o.err != nil {
			t.Fatal(o.err)
		}
		for _, scored := range o.rows {
			want.rows = append(want.rows, fmt.Sprintf("%d:%s", n, strings.TrimPrefix(scored, "1:")))
		}
		for _, rejected := range o.rejects {
			_, reason, _ := strings.Cut(rejected, " ")
			want.rejects = append(want.rejects, fmt.Sprintf("%d %s", n, reason))
		}
		for warning, count := range o.warnings {
			want.warn(warning, count)
		}
	}
	ingest.WithKernels(t, func(t *testing.T) {
		got := read(file.String(), churn(), ingest.Limits{ChunkBytes: 100_000}, nil)
		if got.err != nil {
			t.Fatal(got.err)
		}
		for i, rejected := range got.rejects {
			place, reason, _ := strings.Cut(rejected, " ")
			row, _, _ := strings.Cut(place, "/")
			got.rejects[i] = row + " " + reason
		}
		equalLists(t, "rows", got.rows, want.rows)
		equalLists(t, "rejects", got.rejects, want.rejects)
		if fmt.Sprint(got.warnings) != fmt.Sprint(want.warnings) {
			t.Errorf("warnings %v, want %v", got.warnings, want.warnings)
		}
	})
}

func (o *outcome) warn(warning string, count int64) {
	if o.warnings == nil {
		o.warnings = map[string]int64{}
	}
	o.warnings[warning] += count
}
