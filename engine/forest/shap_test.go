package forest_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// widePlans are forests too wide for the definition; the exact explainer judges them.
var widePlans = map[string]shapPlan{
	"bushy":           {library: forest.LightGBM, features: 20, trees: 60, leaves: 31, values: 99},
	"many thresholds": {library: forest.XGBoost, features: 3, trees: 120, leaves: 31, values: 3000},
	"long paths":      {library: forest.XGBoost, features: 30, trees: 20, leaves: 30, values: 99, chain: true},
	"longer paths":    {library: forest.LightGBM, features: 80, trees: 2, leaves: 90, values: 99, chain: true, empty: true},
	"long with sets":  {library: forest.XGBoost, features: 20, trees: 20, leaves: 25, values: 5, chain: true, sets: true},
	"linear":          {library: forest.LightGBM, features: 20, trees: 30, leaves: 31, values: 99, linear: true},
	"two groups":      {library: forest.LightGBM, features: 9, trees: 20, leaves: 64, values: 50, full: true},
}

func TestContributionsAgreeWithTheExactExplainer(t *testing.T) {
	plans := maps.Clone(shapPlans)
	maps.Copy(plans, widePlans)
	for name, plan := range plans {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2) {
				rng := rand.New(rand.NewPCG(seed, 7))
				f := shapForest(rng, plan)
				rows := shapRows(rng, f, 130)
				want, got := explainBoth(t, f, rows)
				width := plan.features + 1
				for at := 0; at < len(want); at += width {
					size := 1.0
					for _, v := range want[at:][:width] {
						size += math.Abs(v)
					}
					for i := at; i < at+width; i++ {
						if !(math.Abs(got[i]-want[i]) <= 2e-6*size) {
							t.Fatalf("seed %d: value %d: got %v, want %v", seed, i, got[i], want[i])
						}
					}
				}
			}
		})
	}
}

func explainBoth(t *testing.T, f *forest.Forest, rows forest.Rows) (exact, fast []float64) {
	t.Helper()
	judge, err := forest.NewExactExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	e, err := forest.NewExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	exact = make([]float64, rows.Len*f.Classes*(len(f.Features)+1))
	fast = slices.Repeat([]float64{math.NaN()}, len(exact))
	judge.Contributions(exact, rows)
	e.NewContributor().Contributions(fast, rows)
	return exact, fast
}

func TestContributionsDoNotDependOnTheBatch(t *testing.T) {
	for name, plan := range widePlans {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(11, 7))
			f := shapForest(rng, plan)
			rows := shapRows(rng, f, 2500)
			e, err := forest.NewExplainer(f)
			if err != nil {
				t.Fatal(err)
			}
			width := f.Classes * (plan.features + 1)
			want := make([]float64, rows.Len*width)
			e.NewContributor().Contributions(want, rows)
			c := e.NewContributor()
			for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 127, 255, 256, 257, 1000} {
				got := make([]float64, n*width)
				first := rng.IntN(rows.Len - n)
				c.Contributions(got, shapSlice(rows, first, n))
				if !slices.Equal(got, want[first*width:][:n*width]) {
					t.Errorf("%d rows from %d have other contributions than in a larger batch", n, first)
				}
			}
		})
	}
}

func shapSlice(rows forest.Rows, first, n int) forest.Rows {
	part := forest.Rows{Len: n}
	for _, c := range rows.Columns {
		part.Columns = append(part.Columns, forest.Column{Numbers: c.Numbers[first:][:n]})
	}
	return part
}

func TestContributionsOfCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 7))
	f := shapForest(rng, shapPlans["categories"])
	rows := shapRows(rng, f, 100)
	values := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, math.NaN(), -1}
	for i := range rows.Columns {
		codes := make([]uint16, rows.Len)
		for row := range codes {
			codes[row] = uint16(rng.IntN(len(values)))
		}
		rows.Columns[i] = forest.Column{Codes: codes, Values: values}
	}
	want, got := explainBoth(t, f, rows)
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-5) {
			t.Fatalf("value %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

func TestContributorAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 7))
	f := shapForest(rng, widePlans["long with sets"])
	rows := shapRows(rng, f, 100)
	e, err := forest.NewExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	dst, c := make([]float64, rows.Len*21), e.NewContributor()
	if n := testing.AllocsPerRun(10, func() { c.Contributions(dst, rows) }); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}
