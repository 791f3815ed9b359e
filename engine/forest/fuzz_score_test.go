package forest

import "testing"

// FuzzScore compares every kernel with the plain walk on forests and rows of any shape.
func FuzzScore(f *testing.F) {
	f.Add(uint64(1), false, uint8(20), uint16(31), uint8(5), uint16(100), uint8(0), uint8(1), uint16(65))
	f.Add(uint64(2), true, uint8(9), uint16(300), uint8(7), uint16(300), uint8(3), uint8(2), uint16(257))
	f.Fuzz(func(t *testing.T, seed uint64, xgboost bool, trees uint8, leaves uint16, features uint8, thresholds uint16,
		sets, classes uint8, rows uint16,
	) {
		m := maker{
			library: LightGBM, trees: int(trees % 40), leaves: 1 + int(leaves%700), vary: seed%2 == 0, skew: seed%3 == 0,
			features: 1 + int(features%40), thresholds: int(thresholds % 600), classes: 1 + int(classes%4),
			categories: 1 + int(seed%500), mixed: seed%5 < 2, average: seed%7 == 0,
		}
		m.sets = int(sets) % (m.features + 1)
		if xgboost {
			m.library, m.average = XGBoost, false
		}
		forest := m.forest(seed)
		batch := m.rows(forest, int(rows%600), seed+1)
		want := plainScore(forest, batch)
		for _, k := range kernels() {
			c, err := compileFor(forest, k)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, len(want))
			c.NewScorer().Raw(got, batch)
			if at := firstDifference(got, want); at >= 0 {
				t.Fatalf("%v: score %d is %v, want %v", k, at, got[at], want[at])
			}
		}
	})
}
