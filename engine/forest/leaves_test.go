package forest_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
			if !fx.Linear && !strings.HasPrefix(fx.Name, "xgboost/categorical") {
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

// TestLeavesSurvivesMisuse: a panic inside leaves becomes an error.
func TestLeavesSurvivesMisuse(t *testing.T) {
	f := readFixture(t, "lightgbm/binary", "model.txt")
	l, err := forest.NewLeaves(f)
	if err != nil {
		t.Fatal(err)
	}
	tooFew := forest.Rows{Len: 1, Columns: make([]forest.Column, 1)}
	if err := l.Raw(make([]float64, 1), tooFew); err == nil {
		t.Error("scores of rows without columns")
	}
	if err := l.LeafIDs(make([]int32, len(f.Trees)), tooFew); err == nil {
		t.Error("leaves of rows without columns")
	}
}

// TestLeavesIsShared scores with one Leaves from several goroutines.
func TestLeavesIsShared(t *testing.T) {
	f := readFixture(t, "lightgbm/categorical", "model.txt")
	l, err := forest.NewLeaves(f)
	if err != nil {
		t.Fatal(err)
	}
	rows := f.ProbeRows()
	want := make([]float64, rows.Len)
	forest.NewWalker(f).Raw(want, rows)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			got := make([]float64, rows.Len)
			if err := l.Raw(got, rows); err != nil || !slices.Equal(got, want) {
				t.Errorf("differs: %v", err)
			}
		})
	}
	all.Wait()
}

// TestLeavesSeesOnlyTheStream: one file imports leaves and calls one loader, for the text that we write. Its others run
// out of memory or loop on files that their libraries take.
func TestLeavesSeesOnlyTheStream(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		imports := strings.Contains(string(text), "dmitryikh/leaves\"")
		if imports != (name == "leaves.go") && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s imports leaves: %v", name, imports)
		}
		if loaders := strings.Count(string(text), "leaves.LG"); name == "leaves.go" && loaders != 1 ||
			name == "leaves.go" && (strings.Contains(string(text), "leaves.SK") || strings.Contains(string(text), "leaves.XG")) {
			t.Errorf("%s calls another loader than LGEnsembleFromReader", name)
		}
	}
}
