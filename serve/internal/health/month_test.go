package health_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/health"
)

// tally is of n scored rows, a share of which is in the first of two bins of a column and of four of the scores.
func tally(n int64, share float64) *engine.Tally {
	low := int64(share * float64(n))
	return &engine.Tally{
		Rows: n + n/10, Rejected: n / 10, Scored: n, TrainingScores: []float64{0.5, 0.5, 0, 0},
		Scores: []engine.Cohort{{Count: low, Expected: 0.1 * float64(low)}, {Count: n - low, Expected: 0.4 * float64(n-low)}, {}, {}},
		Columns: []engine.ColumnTally{
			{Name: "id"},
			{
				Name: "contract", Bins: []int64{low, n - low, 0}, Unseen: n / 4,
				Training: &engine.Profile{Shares: []float64{0.5, 0.5, 0}},
			},
			{Name: "untrained", Bins: []int64{n, 0}},
			{Name: "absent", Absent: true, Bins: []int64{0, n}, Training: &engine.Profile{Shares: []float64{0.5, 0.5}}},
		},
	}
}

func month(t *testing.T, tallies ...*engine.Tally) health.Month {
	t.Helper()
	m, err := health.NewMonth(tallies...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMonth_Words(t *testing.T) {
	for share, word := range map[float64]string{0.5: "calm", 0.6: "calm", 0.7: "watch", 0.8: "changed"} {
		m := month(t, tally(1000, share))
		want := engine.NewShift([]int64{int64(share * 1000), 1000 - int64(share*1000), 0, 0}, []float64{0.5, 0.5, 0, 0})
		if m.Score.PSI != want.PSI || m.Score.State != word || *m.State != word || len(m.Columns) != 1 ||
			m.Columns[0].State != word || m.Columns[0].UnseenShare != 0.25 {
			t.Errorf("%v: %+v, %+v, want %s", share, m.Score, m.Columns, word)
		}
	}
}

func TestMonth_SaysWhatIsMissing(t *testing.T) {
	m := month(t, tally(1000, 0.5))
	text := strings.Join(m.Missing, "\n")
	for _, part := range []string{
		"1 of 3 have no training shares", "absent: in the files of 0 of 1000", "outcomes: none is known of 1000",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %s", part, text)
		}
	}
	if m.Compared != 1 || m.Of != 3 || *m.UnseenColumn != "contract" || *m.RejectedShare != 1.0/11 {
		t.Errorf("%+v", m)
	}
}

// Of too few rows there is no figure, and just enough have it.
func TestMonth_TooFewGiveNoFigure(t *testing.T) {
	for _, c := range []struct {
		rows          int64
		means, shifts bool
	}{
		{0, false, false},
		{health.RowsMin - 1, false, false},
		{health.RowsMin, true, false},
		{engine.DriftRowsMin - 1, true, false},
		{engine.DriftRowsMin, true, true},
	} {
		m := month(t, tally(c.rows, 0.5))
		if (m.Mean != nil) != c.means || (m.UnseenShare != nil) != c.means || (m.Score != nil) != c.shifts ||
			(len(m.Columns) > 0) != c.shifts || (m.State != nil) != c.shifts {
			t.Errorf("%d rows: %+v", c.rows, m)
		}
	}
}

// Several uploads are what one file of all their rows would be, in any order.
func TestMonth_UploadsAdd(t *testing.T) {
	var parts []*engine.Tally
	for i := range 6 {
		parts = append(parts, tally(int64(100+50*i), 0.1*float64(i)))
	}
	want := month(t, parts...)
	var backwards []*engine.Tally
	whole := tally(0, 0)
	for i := len(parts) - 1; i >= 0; i-- {
		backwards = append(backwards, parts[i])
		whole.Add(parts[i])
	}
	got := month(t, backwards...)
	if fmt.Sprintf("%+v %+v %v", *got.Score, got.Columns, *got.Mean) != fmt.Sprintf("%+v %+v %v", *want.Score, want.Columns, *want.Mean) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if one := month(t, whole); *one.Score != *want.Score || one.Scored != want.Scored || *one.RejectedShare != *want.RejectedShare {
		t.Errorf("of one file %+v, want %+v", one.Score, want.Score)
	}
	var sums [][]int64
	for _, p := range parts {
		c, err := health.Count(p)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, c.Numbers)
	}
	wantAssociative(t, sums)
}
