package store_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
)

// expected computes what a query must find, from rowValue alone.
func expected(rows []int64, q store.RowQuery) []store.Row {
	var all []store.Row
	for _, row := range rows {
		id, p, band := rowValue(row)
		r := store.Row{Row: row, Probability: p, Band: band, ID: &id}
		if row%10 == 0 {
			r.ID = nil
		}
		if q.Band == nil || *q.Band == band {
			all = append(all, r)
		}
	}
	if q.Order == store.ByProbability {
		slices.SortFunc(all, func(a, b store.Row) int {
			return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(a.Row, b.Row))
		})
	}
	return all
}

func (b bench) pages(p store.Prediction, q store.RowQuery) []store.Row {
	b.Helper()
	var all []store.Row
	for {
		page, err := b.Predictions.Rows(b.Context(), p.UserID, p.ID, q)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, page.Rows...)
		if page.Next == nil {
			return all
		}
		if len(page.Rows) != q.Limit {
			b.Errorf("page of %d rows, %d wanted, and more to come", len(page.Rows), q.Limit)
		}
		q.After = page.Next
	}
}

func sameRows(a, b store.Row) bool {
	return a.Row == b.Row && a.Probability == b.Probability && a.Band == b.Band &&
		(a.ID == nil) == (b.ID == nil) && (a.ID == nil || *a.ID == *b.ID)
}

func TestRows(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(2500, 1700)
	rejected := func(row int64) bool { return row%13 == 0 || row > 1100 && row < 2200 }
	var rows []int64
	for range 2 {
		c := b.claim("w")
		rows = append(rows, scoredRows(c.Part, rejected)...)
		last, err := b.score(c, rejected)
		if err != nil {
			t.Fatal(err)
		}
		if last != nil {
			err = b.finish(last)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	none, one, unused := int16(9), int16(1), int16(64)
	for name, q := range map[string]store.RowQuery{
		"pages of 1000":          {Limit: 1000},
		"pages of 7":             {Limit: 7},
		"one page":               {Limit: store.RowsPageMax},
		"a band":                 {Limit: 100, Band: &one},
		"a band without rows":    {Limit: 100, Band: &none},
		"no such band":           {Limit: 100, Band: &unused},
		"by probability":         {Limit: 500, Order: store.ByProbability},
		"by probability, all":    {Limit: store.RowsPageMax, Order: store.ByProbability},
		"by probability, a band": {Limit: 77, Order: store.ByProbability, Band: &one},
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := b.pages(p, q), expected(rows, q); !slices.EqualFunc(got, want, sameRows) {
				t.Errorf("%d rows, want %d", len(got), len(want))
			}
		})
	}
}

// A client that pages through a running prediction must see every row: the page ends where a part is missing.
func TestRowsOfARunningPrediction(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10, 10, 10)
	first, second, third := b.claim("w"), b.claim("w"), b.claim("w")
	b.mustScore(third)
	wantEqual(t, "rows", len(b.pages(p, store.RowQuery{Limit: 50})), 0)
	b.mustScore(first)
	wantEqual(t, "rows", len(b.pages(p, store.RowQuery{Limit: 50})), 10)
	wantEqual(t, "rows", len(b.pages(p, store.RowQuery{Limit: 50, Order: store.ByProbability})), 10)
	b.mustScore(second)
	wantEqual(t, "rows", len(b.pages(p, store.RowQuery{Limit: 50})), 30)
}

func TestRowsOfOthers(t *testing.T) {
	b := newBench(t, store.Config{})
	p := b.upload(10)
	_, err := b.Predictions.Rows(t.Context(), b.user.ID+1, p.ID, store.RowQuery{Limit: 5})
	wantErr(t, err, store.ErrNotFound)
	_, err = b.Predictions.Rows(t.Context(), b.user.ID, uuid.New(), store.RowQuery{Limit: 5, Order: store.ByProbability})
	wantErr(t, err, store.ErrNotFound)
}

func BenchmarkRows(b *testing.B) {
	bb := newBench(b, store.Config{})
	p := bb.upload(100_000)
	if err := bb.finish(bb.mustScore(bb.claim("w"))); err != nil {
		b.Fatal(err)
	}
	one := int16(1)
	for name, q := range map[string]store.RowQuery{
		"1000 by row":         {Limit: 1000, After: &store.RowCursor{Row: 50_400}},
		"100 of a band":       {Limit: 100, Band: &one},
		"100 by probability":  {Limit: 100, Order: store.ByProbability},
		"1000 by probability": {Limit: 1000, Order: store.ByProbability},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.Predictions.Rows(b.Context(), p.UserID, p.ID, q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
