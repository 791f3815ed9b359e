package engine_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
)

// customersOf reads the first row of each id from a result file.
func customersOf(t testing.TB, result string) (all []scoredRow, byID map[string]int, rows engine.ChangeRows) {
	t.Helper()
	byID = map[string]int{}
	lines := csvRecords(t, result)
	for i, line := range lines[1:] {
		r := scoredRow{row: int64(i + 1), cells: map[string]string{}, value: math.NaN()}
		for j, name := range lines[0] {
			r.cells[name] = line[j]
		}
		var p float32
		if _, err := fmt.Sscan(r.cells["churn_probability"], &p); err != nil {
			t.Fatal(err)
		}
		r.p, r.band, r.id = float64(p), r.cells["risk_band"], r.cells["customerID"]
		if _, err := fmt.Sscan(r.cells["MonthlyCharges"], &r.value); err != nil {
			r.value = math.NaN()
		}
		rows.Rows++
		switch _, seen := byID[r.id]; {
		case r.id == "":
			rows.WithoutID++
		case seen:
			rows.Repeated++
		default:
			rows.Customers++
			byID[r.id] = len(all)
			all = append(all, r)
		}
	}
	return all, byID, rows
}

func TestCompareEqualsBruteForceJoin(t *testing.T) {
	b := withoutIDs(t)
	for seed, parts := range [][2]int{{1, 1}, {1, 3}, {4, 2}} {
		before, after := twoMonths(t, uint64(seed))
		opt := engine.Options{Explain: engine.ExplainAll}
		old, oldResult := snapshots(t, b, "key", before, parts[0], opt)
		now, nowResult := snapshots(t, b, "key", after, parts[1], opt)
		checkChanges(t, b, compare(t, b, old, now), oldResult, nowResult)
	}
}

func checkChanges(t *testing.T, b *engine.Bundle, c engine.Changes, before, after string) {
	t.Helper()
	old, oldBy, oldRows := customersOf(t, before)
	now, nowBy, nowRows := customersOf(t, after)
	if c.Status != engine.ChangesCompared || *c.Before != oldRows || *c.After != nowRows {
		t.Fatalf("%s: %+v and %+v, want %+v and %+v", c.Status, *c.Before, *c.After, oldRows, nowRows)
	}
	bands := map[string]int{}
	for i, band := range b.Bands() {
		bands[band.Name] = i
	}
	var want, got struct{ new, gone, stayed, up, down, same int64 }
	var expected, loss engine.SumChange
	var risen, fallen [][2]scoredRow
	lossOf := func(r scoredRow) float64 {
		if math.IsNaN(r.value) {
			return 0
		}
		return r.loss()
	}
	for _, r := range old {
		expected.Before, loss.Before = expected.Before+r.p, loss.Before+lossOf(r)
		if _, stays := nowBy[r.id]; !stays {
			want.gone++
			expected.Gone, loss.Gone = expected.Gone-r.p, loss.Gone-lossOf(r)
		}
	}
	for _, r := range now {
		expected.After, loss.After = expected.After+r.p, loss.After+lossOf(r)
		at, was := oldBy[r.id]
		if !was {
			want.new++
			expected.New, loss.New = expected.New+r.p, loss.New+lossOf(r)
			continue
		}
		want.stayed++
		o := old[at]
		expected.Stayed, loss.Stayed = expected.Stayed+r.p-o.p, loss.Stayed+lossOf(r)-lossOf(o)
		switch move := bands[r.band] - bands[o.band]; {
		case move > 0:
			want.up++
		case move < 0:
			want.down++
		default:
			want.same++
		}
		if r.p > o.p {
			risen = append(risen, [2]scoredRow{o, r})
		} else if r.p < o.p {
			fallen = append(fallen, [2]scoredRow{o, r})
		}
	}
	got.new, got.gone, got.stayed = c.Customers.New, c.Customers.Gone, c.Customers.Stayed
	got.up, got.down, got.same = *c.Customers.MovedUp, *c.Customers.MovedDown, *c.Customers.Unchanged
	if got != want || got.up == 0 || got.down == 0 || got.new == 0 || got.gone == 0 {
		t.Errorf("customers %+v, want %+v", got, want)
	}
	checkSum(t, "churners", c.Expected, expected)
	checkSum(t, "loss", c.Loss, loss)
	checkMoves(t, b, "risen", c.Risen, risen)
	checkMoves(t, b, "fallen", c.Fallen, fallen)
	checkFactors(t, b, c, slices.Concat(risen, fallen))
}

func checkSum(t *testing.T, name string, got *engine.SumChange, want engine.SumChange) {
	t.Helper()
	if got == nil || !near(got.Before, want.Before) || !near(got.After, want.After) || !near(got.New, want.New) ||
		!near(got.Gone, want.Gone) || !near(got.Stayed, want.Stayed) ||
		!near(got.After, got.Before+got.New+got.Gone+got.Stayed) {
		t.Errorf("%s: %+v, want %+v", name, got, want)
	}
}

// sides splits changes into the rows before and after.
func sides(moves [][2]scoredRow) (before, after []scoredRow) {
	for _, m := range moves {
		before, after = append(before, m[0]), append(after, m[1])
	}
	return before, after
}

func checkMoves(t *testing.T, b *engine.Bundle, name string, got []engine.RiskChange, all [][2]scoredRow) {
	t.Helper()
	slices.SortFunc(all, func(x, y [2]scoredRow) int {
		return cmp.Or(cmp.Compare(math.Abs(y[1].p-y[0].p), math.Abs(x[1].p-x[0].p)), cmp.Compare(x[1].row, y[1].row))
	})
	if len(got) != 20 {
		t.Fatalf("%s: %d moves", name, len(got))
	}
	before, after := sides(all)
	was, is := contributionsOf(t, b, before), contributionsOf(t, b, after)
	for i, m := range got {
		o, n := before[i], after[i]
		if m.Row != n.row || float64(m.Before) != o.p || float64(m.After) != n.p || m.BandBefore != o.band ||
			m.BandAfter != n.band {
			t.Errorf("%s %d: %+v, want %+v and %+v", name, i, m, o, n)
		}
		if len(m.Factors) == 0 || !strings.HasPrefix(m.Explanation, "Risk ") {
			t.Errorf("%s %d: no reason: %+v", name, i, m)
		}
		for _, f := range m.Factors {
			if want := is(i, f.Columns) - was(i, f.Columns); math.Abs(want-f.Change) > 0.04 {
				t.Errorf("%s %d: %s changed by %v, want %v", name, i, f.Label, f.Change, want)
			}
			if slices.Contains(f.Columns, "gender") || slices.Contains(f.Columns, "Partner") {
				t.Errorf("%s %d: a sensitive column is shown: %+v", name, i, f)
			}
		}
	}
}

// checkFactors compares the means with sums over all changed rows; unchanged rows contribute 0.
func checkFactors(t *testing.T, b *engine.Bundle, c engine.Changes, moves [][2]scoredRow) {
	t.Helper()
	before, after := sides(moves)
	was, is := contributionsOf(t, b, before), contributionsOf(t, b, after)
	last := math.Inf(1)
	for _, f := range c.Factors {
		sum := 0.0
		for i := range moves {
			sum += is(i, f.Columns) - was(i, f.Columns)
		}
		want := sum / float64(c.Explained)
		if math.Abs(f.Change-want) > 0.002 || math.Abs(f.Change) > last || slices.Contains(f.Columns, "gender") {
			t.Errorf("%s: %v, want %v", f.Label, f.Change, want)
		}
		last = math.Abs(f.Change)
	}
	if len(c.Factors) < 5 || c.Explained != c.Customers.Stayed {
		t.Errorf("%d factors of %d customers", len(c.Factors), c.Explained)
	}
}
