package ingest_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

// qualities converts files with the same header and merges what is said of their columns.
func qualities(t *testing.T, bodies ...string) map[string]ingest.Quality {
	t.Helper()
	header := header(t, strings.TrimSuffix(churnHeader, "\n"))
	m, err := ingest.Map(churn(), header)
	if err != nil {
		t.Fatal(err)
	}
	c := ingest.NewConverter(m, ingest.Limits{})
	merged := map[string]ingest.Quality{}
	for _, body := range bodies {
		batch, err := c.Convert(ingest.Chunk{Position: header.Start(), Bytes: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range batch.Quality {
			sum := merged[q.Column]
			sum.Column = q.Column
			sum.Merge(q)
			merged[q.Column] = sum
		}
	}
	return merged
}

func TestQuality(t *testing.T) {
	got := qualities(t, "A,5,,Monthly,Yes\nB,80,,Weekly,Yes\nC,x,1,Monthly,No\n", "D,,,Two year,\n\nE,7,,,Yes\n")
	for _, want := range []ingest.Quality{
		{Column: "id", Values: 4},
		{Column: "tenure", Values: 3, Missing: 1, Outside: 1, Value: 5},
		{Column: "charge", Missing: 4},
		{Column: "contract", Values: 2, Missing: 1, Unknown: 1},
		{Column: "paid", Values: 3, Missing: 1, Constant: true},
	} {
		if got[want.Column] != want {
			t.Errorf("got %+v, want %+v", got[want.Column], want)
		}
	}
}

func TestQualityConstant(t *testing.T) {
	f := func(want bool, cells ...string) {
		t.Helper()
		bodies := make([]string, len(cells))
		for i, cell := range cells {
			for _, value := range strings.Split(cell, " ") {
				bodies[i] += "A," + value + ",,,\n"
			}
		}
		if got := qualities(t, bodies...)["tenure"]; got.Constant != want {
			t.Errorf("%q: %+v, want constant %v", cells, got, want)
		}
	}
	f(true, "5 5 5", "5", "5.0")
	f(true, " 5", "", "5 ", "")
	f(true, "", "5")
	f(false, "5", "6")
	f(false, "5 6", "5")
	f(false, "5 6", "")
	f(false, "", "")
}
