package forest

import (
	"math"
	"testing"
)

// TestCosineHasTheSameBitsEverywhere: a quadrature's points follow from it.
func TestCosineHasTheSameBitsEverywhere(t *testing.T) {
	for i := range 1000 {
		x := float64(i) / 1000 * math.Pi
		if got, want := cosine(x), math.Cos(x); math.Abs(got-want) > 0x1p-52 {
			t.Errorf("of %v: %v, want %v", x, got, want)
		}
	}
	for _, tt := range []struct {
		x    float64
		bits uint64
	}{
		{0.1, 0x3fefd712f9a817c0},
		{0.7, 0x3fe87996529f9d92},
		{0.9, 0x3fe3e43a9692e21d},
		{1.3, 0x3fd11eb3682a4c5f},
		{2.1, 0xbfe027b304989ec9},
		{2.5, 0xbfe9a2f7ef858b7d},
		{3.1, 0xbfeff8ea4756a624},
	} {
		if got := math.Float64bits(cosine(tt.x)); got != tt.bits {
			t.Errorf("of %v: %#x, want %#x", tt.x, got, tt.bits)
		}
	}
}
