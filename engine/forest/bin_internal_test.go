package forest

import (
	"math"
	"slices"
	"testing"
	"unsafe"
)

func TestOrderedKey(t *testing.T) {
	negative := math.Copysign(0, -1)
	if orderedKey(0) != orderedKey(negative) {
		t.Error("zeros have different keys")
	}
	ascending := []float64{math.Inf(-1), -math.MaxFloat64, -1, -5e-324, 0, 5e-324, 1, math.MaxFloat64, math.Inf(1)}
	for i := range ascending[1:] {
		if orderedKey(ascending[i]) >= orderedKey(ascending[i+1]) {
			t.Errorf("key of %g is not below key of %g", ascending[i], ascending[i+1])
		}
	}
}

func TestMissingMasks(t *testing.T) {
	if zeroBound != float64(float32(1e-35)) {
		t.Fatal("zero bound is not float32(1e-35)")
	}
	for _, x := range []float64{
		0, math.Copysign(0, -1), zeroBound, -zeroBound, math.Nextafter(zeroBound, 1), math.Nextafter(-zeroBound, -1),
		1, -1, math.Inf(1), math.Inf(-1), math.NaN(), -math.NaN(), math.Float64frombits(0x7FF0000000000001),
	} {
		if got, want := isNaNMask(x) != 0, x != x; got != want {
			t.Errorf("isNaNMask(%g) = %v", x, got)
		}
		if got, want := isZeroMask(x) != 0, math.Abs(x) <= zeroBound; got != want {
			t.Errorf("isZeroMask(%g) = %v", x, got)
		}
	}
}

// makers are the forests that every implementation is tried on.
func makers() map[string]maker {
	return map[string]maker{
		"lightgbm":             {library: LightGBM, trees: 20, leaves: 31, features: 12, thresholds: 100},
		"lightgbm mixed":       {library: LightGBM, trees: 20, leaves: 31, features: 5, thresholds: 100, mixed: true},
		"lightgbm sets":        {library: LightGBM, trees: 20, leaves: 31, features: 9, sets: 6, categories: 40, mixed: true},
		"lightgbm many cats":   {library: LightGBM, trees: 5, leaves: 31, features: 4, sets: 3, categories: 3000},
		"lightgbm 253..257":    {library: LightGBM, trees: 90, leaves: 40, features: 3, thresholds: 270},
		"lightgbm thresholds":  {library: LightGBM, trees: 90, leaves: 63, features: 3, mixed: true},
		"lightgbm classes":     {library: LightGBM, trees: 21, leaves: 20, vary: true, features: 6, classes: 3},
		"lightgbm rf":          {library: LightGBM, trees: 21, leaves: 20, features: 6, average: true},
		"lightgbm close":       {library: LightGBM, trees: 90, leaves: 31, features: 4, mixed: true, close: 1e-9},
		"lightgbm closest":     {library: LightGBM, trees: 90, leaves: 31, features: 4, mixed: true, close: 1e-12},
		"lightgbm linear":      {library: LightGBM, trees: 9, leaves: 20, features: 6, linear: true},
		"lightgbm one feature": {library: LightGBM, trees: 9, leaves: 20, features: 1},
		"lightgbm stumps":      {library: LightGBM, trees: 30, leaves: 3, vary: true, features: 4, mixed: true},
		"lightgbm constant":    {library: LightGBM, trees: 3, leaves: 1, features: 2},
		"lightgbm no trees":    {library: LightGBM, features: 2},
		"lightgbm skew":        {library: LightGBM, trees: 9, leaves: 60, skew: true, features: 7, thresholds: 50},
		"lightgbm 128":         {library: LightGBM, trees: 5, leaves: 128, features: 7, thresholds: 50},
		"lightgbm 256":         {library: LightGBM, trees: 5, leaves: 256, features: 7, thresholds: 250},
		"lightgbm 257":         {library: LightGBM, trees: 5, leaves: 257, features: 7, thresholds: 250},
		"lightgbm 5000":        {library: LightGBM, trees: 2, leaves: 5000, features: 7, thresholds: 2000},
		"lightgbm vary":        {library: LightGBM, trees: 30, leaves: 400, vary: true, features: 7, thresholds: 300},
		"xgboost":              {library: XGBoost, trees: 20, leaves: 31, features: 12, thresholds: 100},
		"xgboost 256":          {library: XGBoost, trees: 5, leaves: 256, features: 7, thresholds: 256},
		"xgboost sets":         {library: XGBoost, trees: 20, leaves: 31, features: 9, sets: 6, categories: 40},
		"xgboost many cats":    {library: XGBoost, trees: 5, leaves: 31, features: 4, sets: 3, categories: 3000},
		"xgboost thresholds":   {library: XGBoost, trees: 90, leaves: 63, features: 3},
		"xgboost classes":      {library: XGBoost, trees: 21, leaves: 20, vary: true, features: 6, classes: 3},
		"xgboost 2 leaves":     {library: XGBoost, trees: 50, leaves: 2, features: 6},
		"xgboost vary":         {library: XGBoost, trees: 30, leaves: 400, vary: true, features: 7, thresholds: 300},
		"xgboost skew":         {library: XGBoost, trees: 9, leaves: 300, skew: true, features: 7, thresholds: 50},
	}
}

// TestBinningIsExact compares every node's test on bytes with its test on values.
func TestBinningIsExact(t *testing.T) {
	for name, m := range makers() {
		t.Run(name, func(t *testing.T) {
			f := m.forest(7)
			for _, k := range kernels() {
				b := newBinnerFor(f, k)
				codes := make([]uint8, b.columns*blockRows)
				for i, n := range []int{0, 1, 3, 15, 16, 17, 64, 255, 256} {
					rows := m.rows(f, n, uint64(i))
					scratch := b.newBins()
					scratch.start(rows)
					scratch.fill(codes, 0, n)
					scratch.finish()
					checkSplits(t, f, b, codes, rows)
				}
			}
		})
	}
}

func checkSplits(t *testing.T, f *Forest, b *binner, codes []uint8, rows Rows) {
	t.Helper()
	for i := range f.Trees {
		tree := &f.Trees[i]
		for j := range tree.Nodes {
			n := &tree.Nodes[j]
			s := b.split(tree, n)
			for row := range rows.Len {
				x := rows.Columns[n.Feature].At(row)
				want := goesLeft(tree, n, x)
				code, base := codes[s.column*blockRows+row], codes[s.base*blockRows+row]
				if got := code <= s.threshold; got != want {
					t.Fatalf("tree %d node %d %+v: x = %g has code %d, split %+v, left = %v", i, j, *n, x, code, s, got)
				}
				if got := base <= s.rank || s.missingLeft && base == missingCode; got != want {
					t.Fatalf("tree %d node %d: x = %g has base code %d, split %+v, left = %v", i, j, x, base, s, got)
				}
				if base == missingCode && !s.hasMissing && !s.set {
					t.Fatalf("tree %d node %d: a missing code where there should be none", i, j)
				}
			}
		}
	}
}

// TestCellsAscend tries numbers far outside the range that the cells divide.
func TestCellsAscend(t *testing.T) {
	for _, bounds := range [][2]float64{{0, 1}, {-1, 1}, {1e-300, 1e300}, {-1e308, 1e308}, {1, math.Nextafter(1, 2)}} {
		for _, r := range []*rankSearch{equalWidth(bounds[0], bounds[1]), equalRatio(bounds[0], bounds[1])} {
			last := uint32(0)
			for _, x := range ascendingNumbers() {
				cell := r.cell(x, orderedKey(x))
				if cell < last || cell >= guideCells {
					t.Fatalf("range %v: cell of %g is %d after %d", bounds, x, cell, last)
				}
				last = cell
			}
		}
	}
}

// TestOneCellForAllNumbers tries ranges that cannot be divided: of one threshold, and so wide that the width overflows.
// What an infinity times zero is depends on the processor, so NaNs of both signs stand for it.
func TestOneCellForAllNumbers(t *testing.T) {
	nans := []float64{math.Float64frombits(0x7ff8000000000000), math.Float64frombits(0xfff8000000000000)}
	for _, thresholds := range [][]float64{{0.5}, {0}, {-1e300}, {-math.MaxFloat64, math.MaxFloat64}} {
		r := equalWidth(thresholds[0], thresholds[len(thresholds)-1])
		for _, x := range append(ascendingNumbers(), nans...) {
			if cell := r.cell(x, orderedKey(x)); cell != 0 {
				t.Fatalf("thresholds %v: cell of %g (%x) is %d", thresholds, x, math.Float64bits(x), cell)
			}
		}
		search, numbers := newRankSearch(thresholds, false), ascendingNumbers()
		ranks := make([]uint32, len(numbers))
		search.rankAll(ranks, numbers)
		for i, x := range numbers {
			want := uint32(0)
			for _, threshold := range thresholds {
				if threshold < x {
					want++
				}
			}
			if one := search.rank(x, orderedKey(x)); ranks[i] != want || one != want {
				t.Fatalf("thresholds %v: rank of %g is %d among many and %d alone, want %d", thresholds, x, ranks[i], one, want)
			}
		}
	}
}

func ascendingNumbers() []float64 {
	numbers := []float64{0, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64}
	for e := -1074; e < 1024; e++ {
		for _, m := range []float64{1, 1.25, 1.5, 1.75} {
			x := math.Ldexp(m, e)
			numbers = append(numbers, x, -x)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// TestVectorLayout holds the offsets that the assembly knows.
func TestVectorLayout(t *testing.T) {
	var v vectorBins
	var r rowPart
	var e fewTrees
	for name, offset := range map[string][2]uintptr{
		"vectorBins.exact":   {unsafe.Offsetof(v.exact), 1024},
		"vectorBins.bound":   {unsafe.Offsetof(v.bound), 3072},
		"vectorBins.missing": {unsafe.Offsetof(v.missing), 3080},
		"vectorBins.levels":  {unsafe.Offsetof(v.levels), 3084},
		"vectorBins.rounds":  {unsafe.Offsetof(v.rounds), 3088},
		"vectorBins.pivots":  {unsafe.Offsetof(v.pivots), 3096},
		"rowPart.value":      {unsafe.Offsetof(r.value), 8},
		"rowPart.column":     {unsafe.Offsetof(r.column), 12},
		"rowPart.twin":       {unsafe.Offsetof(r.twin), 16},
		"rowPart":            {unsafe.Sizeof(r), 24},
		"fewTrees.steps":     {unsafe.Offsetof(e.steps), 32},
		"fewTrees":           {unsafe.Sizeof(e), 40},
	} {
		if unsafe.Sizeof(uintptr(0)) == 8 && offset[0] != offset[1] {
			t.Errorf("%s is at %d, the assembly says %d", name, offset[0], offset[1])
		}
	}
}
