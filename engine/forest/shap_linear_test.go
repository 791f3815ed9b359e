package forest_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// TestLinearModelIsExplainedByItsMeans writes a linear model of three columns as one linear leaf each, whose value is
// that at the column's mean: a contribution is coefficient*(x - mean), and the bias the score of the means.
func TestLinearModelIsExplainedByItsMeans(t *testing.T) {
	coefficients, means, intercept := []float64{0.5, -2, 1e-3}, []float64{30, 0.25, 1e4}, -1.5
	f := &forest.Forest{
		Library: forest.LightGBM, Classes: 1, Base: []float64{0}, Features: make([]forest.Feature, 3), Iterations: 1,
	}
	for i, c := range coefficients {
		f.Trees = append(f.Trees, forest.Tree{
			Leaves: []forest.Leaf{{Value: c * means[i]}},
			Linear: []forest.Linear{{Features: []int32{int32(i)}, Coefficients: []float64{c}}},
		})
	}
	f.Trees = append(f.Trees, forest.Tree{Leaves: []forest.Leaf{{Value: intercept}}})

	rng := rand.New(rand.NewPCG(1, 2))
	rows := forest.Rows{Len: 300, Columns: make([]forest.Column, 3)}
	for i := range rows.Columns {
		for range rows.Len {
			rows.Columns[i].Numbers = append(rows.Columns[i].Numbers, means[i]*(1+rng.NormFloat64()))
		}
	}
	exact, fast := explainBoth(t, f, rows)
	for row := range rows.Len {
		bias := intercept
		for i, c := range coefficients {
			bias += c * means[i]
			want := c * (rows.Columns[i].At(row) - means[i])
			for _, got := range []float64{exact[row*4+i], fast[row*4+i]} {
				if !(math.Abs(got-want) <= 1e-13*(1+math.Abs(want)+math.Abs(c*means[i]))) {
					t.Fatalf("row %d: feature %d contributes %v, want %v", row, i, got, want)
				}
			}
		}
		if math.Abs(fast[row*4+3]-bias) > 1e-12 {
			t.Fatalf("bias is %v, want %v", fast[row*4+3], bias)
		}
	}
}

// TestLinearContributionsAddUpToTheScore compares with what the kernels of every shape of linear forest score.
func TestLinearContributionsAddUpToTheScore(t *testing.T) {
	for name, plan := range shapPlans {
		if !plan.linear || plan.classes > 1 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(8, 9))
			f := shapForest(rng, plan)
			clear(f.Base) // LightGBM has none
			rows := shapRows(rng, f, 300)
			_, phi := explainBoth(t, f, rows)
			raw := make([]float64, rows.Len)
			compiled, err := forest.Compile(f)
			if err != nil {
				t.Fatal(err)
			}
			compiled.NewScorer().Raw(raw, rows)
			width := plan.features + 1
			for row, want := range raw {
				sum, size := 0.0, 1.0
				for _, v := range phi[row*width:][:width] {
					sum, size = sum+v, size+math.Abs(v)
				}
				if !(math.Abs(sum-want) <= 4e-6*size) {
					t.Fatalf("row %d: contributions add up to %v, raw score is %v", row, sum, want)
				}
			}
		})
	}
}

// TestCodesDoNotExplainLinearLeaves: codes of bins have not the values that the leaves read.
func TestCodesDoNotExplainLinearLeaves(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	f := shapForest(rng, widePlans["linear"])
	rows := shapRows(rng, f, 300)
	compiled, err := forest.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	e, err := compiled.NewExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	var codes forest.Codes
	compiled.NewScorer().RawCodes(make([]float64, rows.Len), rows, &codes)
	if e.NewContributor().ContributionsOf(make([]float64, rows.Len*21), rows.Len, &codes) {
		t.Error("contributions of codes alone")
	}
}
