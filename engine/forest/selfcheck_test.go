package forest_test

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

func TestSelfCheckAcceptsFixtures(t *testing.T) {
	eachFixture(t, func(t *testing.T, _ fixture, f *forest.Forest) {
		compiled, err := forest.Compile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := forest.SelfCheck(f, leavesOrNil(f), compiled.NewScorer()); err != nil {
			t.Fatal(err)
		}
	})
}

// wrongScorer adds something to one score of the walker.
type wrongScorer struct {
	walker *forest.Walker
	by     float64
}

func (w wrongScorer) Raw(dst []float64, rows forest.Rows) {
	w.walker.Raw(dst, rows)
	dst[rows.Len/2] += w.by
}

func TestSelfCheckRefusesWrongScores(t *testing.T) {
	f := readFixture(t, "lightgbm/binary", "model.txt")
	if err := forest.SelfCheck(f, leavesOrNil(f), wrongScorer{forest.NewWalker(f), 0}); err != nil {
		t.Fatal(err)
	}
	for _, by := range []float64{1e-12, math.NaN(), math.Inf(1)} {
		var e *forest.Error
		err := forest.SelfCheck(f, leavesOrNil(f), wrongScorer{forest.NewWalker(f), by})
		if !errors.As(err, &e) || e.Kind != forest.KindSelfCheck {
			t.Errorf("off by %v: %v", by, err)
		}
	}
}

// TestProbeRowsReachLeaves demands that the rows meet most of a small forest's leaves, and all of the special values.
func TestProbeRowsReachLeaves(t *testing.T) {
	eachFixture(t, func(t *testing.T, _ fixture, f *forest.Forest) {
		rows := f.ProbeRows()
		if !sameRows(rows, f.ProbeRows()) {
			t.Fatal("the rows differ from call to call")
		}
		ids := make([]int32, rows.Len*len(f.Trees))
		forest.NewWalker(f).LeafIDs(ids, rows)
		reached, leaves := map[[2]int]bool{}, 0
		for i, id := range ids {
			reached[[2]int{i % len(f.Trees), int(id)}] = true
		}
		for i := range f.Trees {
			leaves += len(f.Trees[i].Leaves)
		}
		if leaves <= 400 && len(reached) < leaves*6/10 {
			t.Errorf("%d of %d leaves reached", len(reached), leaves)
		}
	})
}

func sameRows(a, b forest.Rows) bool {
	for i := range a.Columns {
		for r := range a.Len {
			if math.Float64bits(a.Columns[i].At(r)) != math.Float64bits(b.Columns[i].At(r)) {
				return false
			}
		}
	}
	return a.Len == b.Len && len(a.Columns) == len(b.Columns)
}

func readFixture(t testing.TB, name, model string) *forest.Forest {
	t.Helper()
	return fixture{Name: name}.read(t, model)
}

func TestDescribe(t *testing.T) {
	d := readFixture(t, "lightgbm/binary", "model.txt").Describe()
	if d.Format != "lightgbm-text" || d.Version != "v4" || d.Library != "lightgbm" || d.Link != "sigmoid" ||
		d.Objective != "binary" || d.Trees == 0 || d.Nodes != d.Leaves-d.Trees || d.LeavesMax < 2 || d.DepthMax < 1 ||
		d.Features != 5 || d.FeaturesUsed < 2 || d.ThresholdsMax < 2 || !d.Covers || d.Linear || d.Categorical ||
		!reflect.DeepEqual(d.Scorers, []string{"compiled", "leaves"}) || len(d.SHA256) != 64 {
		t.Errorf("%+v", d)
	}
	d = readFixture(t, "lightgbm/linear_tree", "model.txt").Describe()
	if !d.Linear || d.Covers || d.NoLeaves == "" || len(d.Scorers) != 1 {
		t.Errorf("%+v", d)
	}
	only := &forest.Forest{Library: forest.LightGBM, Classes: 1, Base: []float64{0}, Features: make([]forest.Feature, 2)}
	only.Trees = []forest.Tree{{
		Leaves: []forest.Leaf{{Value: 3}}, Linear: []forest.Linear{{Features: []int32{1}, Coefficients: []float64{2}}},
	}}
	if d = only.Describe(); d.FeaturesUsed != 1 || !d.Linear || !d.Covers {
		t.Errorf("%+v", d)
	}
	d = readFixture(t, "xgboost/categorical", "model.ubj").Describe()
	if !d.Categorical || d.Library != "xgboost" || d.Format != "xgboost-ubjson" {
		t.Errorf("%+v", d)
	}
	d = readFixture(t, "lightgbm/one_leaf", "model.txt").Describe()
	if d.DepthMax != 0 || d.FeaturesUsed != 0 {
		t.Errorf("%+v", d)
	}
}
