package forest_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// shapPlans are the kinds of forest that every implementation of contributions is tested on.
var shapPlans = map[string]shapPlan{
	"lightgbm":        {library: forest.LightGBM, features: 6, trees: 12, leaves: 16, values: 9},
	"xgboost":         {library: forest.XGBoost, features: 6, trees: 12, leaves: 16, values: 9},
	"repeated":        {library: forest.LightGBM, features: 2, trees: 10, leaves: 31, values: 5},
	"repeated side":   {library: forest.XGBoost, features: 2, trees: 10, leaves: 31, values: 5},
	"one feature":     {library: forest.XGBoost, features: 1, trees: 5, leaves: 8, values: 9},
	"categories":      {library: forest.LightGBM, features: 6, trees: 10, leaves: 16, values: 9, sets: true},
	"categories side": {library: forest.XGBoost, features: 6, trees: 10, leaves: 16, values: 9, sets: true},
	"multiclass":      {library: forest.LightGBM, features: 5, trees: 12, leaves: 8, values: 9, classes: 3},
	"random forest":   {library: forest.LightGBM, features: 5, trees: 12, leaves: 8, values: 9, average: true},
	"empty nodes":     {library: forest.XGBoost, features: 6, trees: 12, leaves: 16, values: 9, empty: true},
	"one leaf":        {library: forest.LightGBM, features: 3, trees: 4, leaves: 1, values: 9},
	"deep":            {library: forest.LightGBM, features: 12, trees: 3, leaves: 24, values: 9, chain: true},
	"linear":          {library: forest.LightGBM, features: 5, trees: 12, leaves: 9, values: 9, linear: true},
	"linear averaged": {library: forest.LightGBM, features: 4, trees: 12, leaves: 6, values: 9, linear: true, average: true},
	"linear classes":  {library: forest.LightGBM, features: 6, trees: 12, leaves: 8, values: 9, linear: true, sets: true, classes: 3},
	"linear only":     {library: forest.LightGBM, features: 6, trees: 8, leaves: 1, values: 9, linear: true},
	"no trees":        {library: forest.LightGBM, features: 3, leaves: 1, values: 9},
}

func TestExactExplainerAgreesWithTheDefinition(t *testing.T) {
	for name, plan := range shapPlans {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(5) {
				rng := rand.New(rand.NewPCG(seed, 1))
				f := shapForest(rng, plan)
				rows := shapRows(rng, f, 12)
				e, err := forest.NewExactExplainer(f)
				if err != nil {
					t.Fatal(err)
				}
				want := bruteContributions(f, rows)
				got := make([]float64, len(want))
				got[0] = math.NaN()
				e.Contributions(got, rows)
				for i := range want {
					if !(math.Abs(got[i]-want[i]) <= 1e-9) {
						t.Fatalf("seed %d: value %d: got %v, want %v", seed, i, got[i], want[i])
					}
				}
			}
		})
	}
}

func TestExactContributionsAddUpToTheRawScore(t *testing.T) {
	plan := shapPlan{library: forest.LightGBM, features: 60, trees: 3, leaves: 120, values: 9, chain: true, empty: true}
	for name, plan := range map[string]shapPlan{"wide and deep": plan, "categories": shapPlans["categories side"]} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 5))
			f := shapForest(rng, plan)
			rows := shapRows(rng, f, 200)
			e, err := forest.NewExactExplainer(f)
			if err != nil {
				t.Fatal(err)
			}
			width := plan.features + 1
			phi := make([]float64, rows.Len*width)
			e.Contributions(phi, rows)
			for row := range rows.Len {
				sum, size := 0.0, 1.0
				for _, v := range phi[row*width:][:width] {
					sum, size = sum+v, size+math.Abs(v)
				}
				want := bruteExpected(f, 0, shapRowAt(rows, row), -1)
				if !(math.Abs(sum-want) <= 1e-9*size) {
					t.Fatalf("row %d: contributions add up to %v, raw score is %v", row, sum, want)
				}
			}
		})
	}
}

func TestForestsThatCannotBeExplained(t *testing.T) {
	stump := func(cover, left, right float64) *forest.Forest {
		return &forest.Forest{
			Library: forest.LightGBM, Classes: 1, Base: []float64{0}, Features: make([]forest.Feature, 1),
			Trees: []forest.Tree{{
				Nodes:  []forest.Node{{Left: -1, Right: -2, Cover: cover}},
				Leaves: []forest.Leaf{{Value: 1, Cover: left}, {Value: 2, Cover: right}},
			}},
		}
	}
	linear := stump(10, 5, 5)
	linear.Trees[0].Linear = []forest.Linear{{Const: 1}, {Features: []int32{0, 0}, Coefficients: []float64{1, 2}}}
	twice := stump(10, 5, 5)
	twice.Trees[0].Linear = make([]forest.Linear, 2)
	f := func(name string, in *forest.Forest, kind forest.Kind, text string) {
		t.Helper()
		in.Source.Name = "m.txt"
		_, exact := forest.NewExactExplainer(in)
		_, fast := forest.NewExplainer(in)
		for _, err := range []error{exact, fast} {
			e, ok := errors.AsType[*forest.Error](err)
			if !ok || e.Kind != kind || e.Error() != text {
				t.Errorf("%s: got error %v", name, err)
			}
		}
	}
	const where = `model "m.txt": tree 0: node 0: `
	f("no covers", stump(0, 0, 0), forest.KindNoCover,
		`model "m.txt": explanations need the covers of the nodes, and the file has none`)
	f("linear", linear, forest.KindNoCover,
		`model "m.txt": tree 0: scores of linear leaves of several features cannot be explained: the file has no means`)
	f("linear without features", twice, forest.KindNoCover, `model "m.txt": tree 0: a linear leaf without features has two values`)
	f("negative", stump(10, -1, 11), forest.KindValue, where+"cover is negative or not finite")
	f("not a number", stump(10, math.NaN(), 10), forest.KindValue, where+"cover is negative or not finite")
	f("infinite", stump(math.Inf(1), 1, 1), forest.KindValue, where+"cover is negative or not finite")
	f("infinite child", stump(10, 1, math.Inf(1)), forest.KindValue, where+"cover is negative or not finite")
	f("child above its parent", stump(10, 1, 10.1), forest.KindValue, where+"a child has cover 10.1, its parent only 10")
	if _, err := forest.NewExactExplainer(stump(10, 1, 10.005)); err != nil {
		t.Errorf("rounded covers: %v", err)
	}
}
