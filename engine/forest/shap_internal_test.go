package forest

import (
	"fmt"
	"slices"
	"testing"
)

// TestExplainKernelsAgree demands equal bits from every kernel that this machine has.
func TestExplainKernelsAgree(t *testing.T) {
	if bestKernel != kernelAVX512 {
		t.Skip("this machine has no AVX-512: nothing to compare the portable kernel with")
	}
	for name, m := range map[string]maker{
		"short paths": {library: LightGBM, trees: 40, leaves: 12, vary: true, features: 10, thresholds: 20, mixed: true},
		"xgboost":     {library: XGBoost, trees: 40, leaves: 20, vary: true, features: 10, thresholds: 300},
		"long paths":  {library: LightGBM, trees: 20, leaves: 60, skew: true, features: 50, thresholds: 20},
		"sets":        {library: XGBoost, trees: 40, leaves: 30, features: 12, sets: 6, categories: 40, thresholds: 9},
		"classes":     {library: LightGBM, trees: 30, leaves: 31, features: 8, classes: 3},
		"large group": {library: LightGBM, trees: 70, leaves: 31, features: 6, thresholds: 50},
	} {
		t.Run(name, func(t *testing.T) {
			f := m.forest(5)
			m.cover(f)
			for _, n := range []int{1, 63, 64, 65, 128, 255, 256, 257, 700} {
				rows := m.rows(f, n, uint64(n))
				if want, got := explained(t, f, kernelPortable, rows), explained(t, f, kernelAVX512, rows); !slices.Equal(got, want) {
					t.Fatalf("%d rows: kernels differ", n)
				}
			}
		})
	}
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
	e, err := newExplainer(f, k)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float64, rows.Len*f.Classes*(len(f.Features)+1))
	e.NewContributor().Contributions(dst, rows)
	return dst
}

func BenchmarkContributions(b *testing.B) {
	kernels := []kernel{kernelPortable}
	if bestKernel != kernelPortable {
		kernels = append(kernels, bestKernel)
	}
	for _, k := range kernels {
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
	e, err := newExplainer(f, k)
	if err != nil {
		b.Fatal(err)
	}
	dst, c := make([]float64, rows.Len*21), e.NewContributor()
	for b.Loop() {
		c.Contributions(dst, rows)
	}
	perRow := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(rows.Len)
	b.ReportMetric(1e9/perRow, "rows/s")
	b.ReportMetric(e.meanTerms(), "features/leaf")
}

func (e *Explainer) meanTerms() float64 {
	leaves, terms := 0, 0
	for _, g := range e.groups {
		for _, r := range g.runs {
			leaves, terms = leaves+r.leaves, terms+r.leaves*r.terms
		}
	}
	return float64(terms) / float64(leaves)
}
