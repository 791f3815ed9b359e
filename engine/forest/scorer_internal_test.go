package forest

import (
	"math"
	"testing"
)

// packSizes are the numbers of rows around every width that an implementation works in.
var packSizes = []int{0, 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 1000}

func TestScorerHasTheBitsOfThePlainWalk(t *testing.T) {
	for name, m := range makers() {
		t.Run(name, func(t *testing.T) {
			f := m.forest(11)
			c, err := Compile(f)
			if err != nil {
				t.Fatal(err)
			}
			s := c.NewScorer()
			for i, n := range packSizes {
				rows := m.rows(f, n, uint64(i))
				got, want := make([]float64, n*f.Classes), plainScore(f, rows)
				s.Raw(got, rows)
				for j := range want {
					if math.Float64bits(got[j]) != math.Float64bits(want[j]) && !(got[j] != got[j] && want[j] != want[j]) {
						t.Fatalf("%d rows: score %d is %v, want %v", n, j, got[j], want[j])
					}
				}
			}
		})
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
