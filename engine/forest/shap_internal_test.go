package forest

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// explainKernels are the vector kernels that this machine has.
func explainKernels(tb testing.TB) []kernel {
	tb.Helper()
	if bestKernel == kernelPortable {
		tb.Skip("this machine has no vector kernel: nothing to compare the portable kernel with")
	}
	if bestKernel == kernelAVX2 {
		tb.Log("no AVX-512 on this machine: its kernel is not tested")
		return []kernel{kernelAVX2}
	}
	return []kernel{kernelAVX2, kernelAVX512}
}

// TestExplainKernelsAgree demands equal bits from every kernel that this machine has.
func TestExplainKernelsAgree(t *testing.T) {
	kernels := explainKernels(t)
	for name, m := range map[string]maker{
		"short paths": {library: LightGBM, trees: 40, leaves: 12, vary: true, features: 10, thresholds: 20, mixed: true},
		"xgboost":     {library: XGBoost, trees: 40, leaves: 20, vary: true, features: 10, thresholds: 300},
		"long paths":  {library: LightGBM, trees: 6, leaves: 60, skew: true, features: 50, thresholds: 20},
		"sets":        {library: XGBoost, trees: 40, leaves: 30, features: 12, sets: 6, categories: 40, thresholds: 9},
		"classes":     {library: LightGBM, trees: 30, leaves: 31, features: 8, classes: 3},
		"large group": {library: LightGBM, trees: 70, leaves: 31, features: 6, thresholds: 50},
	} {
		t.Run(name, func(t *testing.T) {
			f := m.forest(5)
			m.cover(f)
			for _, n := range []int{1, 63, 64, 65, 255, 256, 257} {
				rows := m.rows(f, n, uint64(n))
				want := explained(t, f, kernelPortable, rows)
				for _, k := range kernels {
					if !slices.Equal(explained(t, f, k, rows), want) {
						t.Fatalf("%d rows: kernel %v differs", n, k)
					}
				}
			}
		})
	}
}

func TestExplainerStaysWithinItsMemory(t *testing.T) {
	f := func(lengths []int, tables int, kind Kind) {
		t.Helper()
		b := newShapBuilder(&Forest{}, newBinner(&Forest{}))
		err := b.plan(lengths)
		e, _ := err.(*Error)
		if b.tables != tables || (e == nil) != (kind == 0) || e != nil && e.Kind != kind {
			t.Errorf("paths %v: tables up to %d features, error %v", lengths, b.tables, err)
		}
	}
	f(nil, tableTermsMax, 0)
	f([]int{5, 0, 0, 0, 0, 20_000, 0, 10_000}, tableTermsMax, 0)
	f([]int{5, 0, 0, 0, 0, 20_000, 0, 20_000}, tableTermsFew, 0)
	f([]int{0, 0, 0, 0, 0, 500_000}, tableTermsFew, 0)
	f([]int{0, 0, 0, 0, 0, 5_000_000}, tableTermsFew, KindLimits)
}

// TestExplainWithFewTables integrates what is normally looked up.
func TestExplainWithFewTables(t *testing.T) {
	m := maker{library: LightGBM, trees: 20, leaves: 40, features: 9, thresholds: 20, mixed: true}
	f := m.forest(2)
	m.cover(f)
	rows := m.rows(f, 130, 1)
	want := make([]float64, rows.Len*10)
	judge, err := NewExactExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	judge.Contributions(want, rows)
	for _, k := range append([]kernel{kernelPortable}, explainKernels(t)...) {
		b := newShapBuilder(f, newBinner(f))
		if err := b.plan(b.pathLengths()); err != nil {
			t.Fatal(err)
		}
		b.tables = tableTermsFew
		got := make([]float64, len(want))
		b.explainer(k).NewContributor().Contributions(got, rows)
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= 2e-5) {
				t.Fatalf("%v: value %d: got %v, want %v", k, i, got[i], want[i])
			}
		}
	}
}

// FuzzContributions makes forests of every shape and demands that contributions add up to the raw score, and equal bits
// of the kernels.
func FuzzContributions(f *testing.F) {
	f.Add(uint64(1), uint8(20), uint8(5), uint8(0))
	f.Add(uint64(2), uint8(60), uint8(40), uint8(3))
	f.Add(uint64(3), uint8(30), uint8(9), uint8(12))
	f.Fuzz(func(t *testing.T, seed uint64, leaves, features, flags uint8) {
		m := maker{
			library: LightGBM, trees: 4, leaves: 1 + int(leaves), features: 1 + int(features)%64, thresholds: 9,
			skew: flags&1 != 0, vary: flags&2 != 0, mixed: flags&4 != 0,
		}
		if flags&8 != 0 {
			m.library, m.sets, m.categories = XGBoost, m.features/2, 20
		}
		forest := m.forest(seed)
		m.cover(forest)
		rows := m.rows(forest, 70, seed)
		got := explained(t, forest, kernelPortable, rows)
		for _, k := range explainKernels(t) {
			if !slices.Equal(explained(t, forest, k, rows), got) {
				t.Fatalf("kernel %v differs", k)
			}
		}
		raw := make([]float64, rows.Len)
		NewWalker(forest).Raw(raw, rows)
		for row, want := range raw {
			sum, size := 0.0, 1.0
			for _, v := range got[row*(m.features+1):][:m.features+1] {
				sum, size = sum+v, size+math.Abs(v)
			}
			if !(math.Abs(sum-want) <= 4e-6*size) {
				t.Fatalf("row %d: contributions add up to %v, raw score is %v", row, sum, want)
			}
		}
	})
}

// cover gives every node the number of leaves below it.
func (m maker) cover(f *Forest) {
	for i := range f.Trees {
		t := &f.Trees[i]
		for j := range t.Leaves {
			t.Leaves[j].Cover = 1
		}
		if len(t.Nodes) > 0 {
			coverNode(t, 0)
		}
	}
}

func coverNode(t *Tree, at int32) float64 {
	if at < 0 {
		return t.Leaves[^at].Cover
	}
	n := &t.Nodes[at]
	n.Cover = coverNode(t, n.Left) + coverNode(t, n.Right)
	return n.Cover
}

func explained(t *testing.T, f *Forest, k kernel, rows Rows) []float64 {
	t.Helper()
	e, err := newExplainer(f, newBinner(f), k)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float64, rows.Len*f.Classes*(len(f.Features)+1))
	e.NewContributor().Contributions(dst, rows)
	return dst
}

func BenchmarkContributions(b *testing.B) {
	for _, k := range append([]kernel{kernelPortable}, explainKernels(b)...) {
		for _, size := range []struct{ trees, leaves int }{{400, 16}, {500, 31}} {
			for _, few := range []int{5, 20} {
				name := fmt.Sprintf("%v/%dx%d/%d-features-a-tree", k, size.trees, size.leaves, few)
				b.Run(name, func(b *testing.B) { benchmarkContributions(b, k, size.trees, size.leaves, few) })
			}
		}
	}
}

// benchmarkContributions explains forests of 20 features whose trees use only so many of them.
func benchmarkContributions(b *testing.B, k kernel, trees, leaves, few int) {
	m := maker{library: LightGBM, trees: trees, leaves: leaves, features: 20, thresholds: 200}
	f := m.forest(1)
	m.cover(f)
	for i := range f.Trees {
		for j := range f.Trees[i].Nodes {
			n := &f.Trees[i].Nodes[j]
			n.Feature = int32((int(n.Feature)%few + i) % 20)
		}
	}
	rows := m.rows(f, 4096, 1)
	e, err := newExplainer(f, newBinner(f), k)
	if err != nil {
		b.Fatal(err)
	}
	dst, c := make([]float64, rows.Len*21), e.NewContributor()
	for b.Loop() {
		c.Contributions(dst, rows)
	}
	perRow := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(rows.Len)
	b.ReportMetric(1e9/perRow, "rows/s")
	b.ReportMetric(e.meanTerms(), "features/branch")
}

func (e *Explainer) meanTerms() float64 {
	leaves, terms := 0, 0
	for _, g := range e.groups {
		for _, r := range g.runs {
			leaves, terms = leaves+r.branches, terms+r.branches*r.terms
		}
	}
	return float64(terms) / float64(leaves)
}
