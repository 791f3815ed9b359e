package forest_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// leavesRefused reports whether err says that leaves cannot represent a model.
func leavesRefused(err error) bool {
	var e *forest.Error
	return errors.As(err, &e) && e.Kind == forest.KindUnsupported
}

func TestLeavesAgreesWithWalker(t *testing.T) {
	accepted := 0
	eachFixture(t, func(t *testing.T, fx fixture, f *forest.Forest) {
		l, err := forest.NewLeaves(f)
		if leavesRefused(err) {
			if !fx.Linear && !slices.Contains([]string{"xgboost/categorical", "xgboost/categorical_onehot", "xgboost/categorical_text"}, fx.Name) {
				t.Fatalf("leaves refuses the model: %v", err)
			}
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		accepted++
		compareLeaves(t, f, l, fx.rows(t))
	})
	if accepted < 50 {
		t.Fatalf("leaves takes only %d models", accepted)
	}
}

func compareLeaves(t *testing.T, f *forest.Forest, l *forest.Leaves, rows forest.Rows) {
	t.Helper()
	walker := forest.NewWalker(f)
	got, want := make([]float64, rows.Len*f.Classes), make([]float64, rows.Len*f.Classes)
	if err := l.Raw(got, rows); err != nil {
		t.Fatal(err)
	}
	walker.Raw(want, rows)
	if f.Library == forest.LightGBM {
		sameBits(t, got, want)
	} else {
		near(t, got, want, 4e-6)
	}
	gotIDs, wantIDs := make([]int32, rows.Len*len(f.Trees)), make([]int32, rows.Len*len(f.Trees))
	if err := l.LeafIDs(gotIDs, rows); err != nil {
		t.Fatal(err)
	}
	walker.LeafIDs(wantIDs, rows)
	if i := firstDifference(gotIDs, wantIDs); i >= 0 {
		t.Fatalf("row %d tree %d: leaf %d, want %d", i/len(f.Trees), i%len(f.Trees), gotIDs[i], wantIDs[i])
	}
}

func firstDifference(a, b []int32) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
