package forest

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// packSizes are the numbers of rows around every width that an implementation works in.
var packSizes = []int{0, 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 1000}

func TestScorerHasTheBitsOfThePlainWalk(t *testing.T) {
	for name, m := range makers() {
		t.Run(name, func(t *testing.T) {
			f := m.forest(11)
			for i, c := range compiledForms(t, f) {
				k := fmt.Sprint(i, c.kernel)
				s := c.NewScorer()
				for i, n := range packSizes {
					rows := m.rows(f, n, uint64(i))
					got := make([]float64, n*f.Classes)
					s.Raw(got, rows)
					want := plainScore(f, rows)
					if at := firstDifference(got, want); at >= 0 {
						t.Fatalf("%s, %d rows: score %d is %v, want %v", k, n, at, got[at], want[at])
					}
				}
			}
		})
	}
}

// compiledForms compiles for every kernel, and for the best one without what single rows need beyond it.
func compiledForms(t *testing.T, f *Forest) (forms []*Compiled) {
	t.Helper()
	for _, k := range kernels() {
		c, err := compileFor(f, k)
		if err != nil {
			t.Fatal(err)
		}
		forms = append(forms, c)
	}
	old := *forms[len(forms)-1]
	old.runs = slices.Clone(old.runs)
	for i := range old.runs {
		old.runs[i].row = nil
	}
	return append(forms, &old)
}

func TestKernelName(t *testing.T) {
	plain := maker{library: LightGBM, trees: 2, leaves: 4, features: 2}
	linear := plain
	linear.linear = true
	for want, m := range map[string]maker{bestKernel.String(): plain, "portable": linear} {
		c, err := Compile(m.forest(1))
		if err != nil {
			t.Fatal(err)
		}
		if bestKernel != kernelPortable && c.Kernel() != want {
			t.Errorf("kernel is %s, want %s", c.Kernel(), want)
		}
	}
}

func TestColumnLimit(t *testing.T) {
	if err := checkColumns(columnsMax); err != nil {
		t.Error(err)
	}
	if checkColumns(columnsMax+1) == nil {
		t.Error("no error beyond the limit")
	}
}

// kernels lists the implementations that this processor can run.
func kernels() []kernel {
	all := []kernel{kernelPortable}
	for k := kernelAVX2; k <= bestKernel; k++ {
		all = append(all, k)
	}
	return all
}

// firstDifference is where two lists differ in their bits, or -1; all NaNs are alike.
func firstDifference(got, want []float64) int {
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			return i
		}
	}
	return -1
}

// TestTrainedForest tries the forest of the benchmarks.
func TestTrainedForest(t *testing.T) {
	f := trained(10, 31, 10)
	if err := f.Validate(Limits{}); err != nil {
		t.Fatal(err)
	}
	x, _ := customers(10, 500, 2)
	rows := Rows{Len: 500}
	for i := range x {
		rows.Columns = append(rows.Columns, Column{Numbers: x[i]})
	}
	want := plainScore(f, rows)
	for _, c := range compiledForms(t, f) {
		got := make([]float64, rows.Len)
		c.NewScorer().Raw(got, rows)
		if at := firstDifference(got, want); at >= 0 {
			t.Errorf("%v: row %d is %v, want %v", c.kernel, at, got[at], want[at])
		}
	}
}

func TestPlainWalkIsTheWalker(t *testing.T) {
	for name, m := range makers() {
		f := m.forest(5)
		rows := m.rows(f, 300, 1)
		got := make([]float64, rows.Len*f.Classes)
		NewWalker(f).Raw(got, rows)
		if want := plainScore(f, rows); firstDifference(got, want) >= 0 {
			t.Errorf("%s: walker differs at %d", name, firstDifference(got, want))
		}
	}
}

func TestScorerAllocatesNothing(t *testing.T) {
	for name, m := range makers() {
		f := m.forest(3)
		c, err := Compile(f)
		if err != nil {
			t.Fatal(err)
		}
		s := c.NewScorer()
		rows := m.rows(f, 300, 1)
		dst := make([]float64, rows.Len*f.Classes)
		s.Raw(dst, rows)
		if n := testing.AllocsPerRun(3, func() { s.Raw(dst, rows) }); n > 0 {
			t.Errorf("%s: %g allocations a call", name, n)
		}
	}
}
