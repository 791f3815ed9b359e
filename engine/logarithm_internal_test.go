package engine

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestNaturalLogHasTheSameBitsEverywhere(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		p := random.Float64()
		x := p / (1 - p)
		if got, want := NaturalLog(x), math.Log(x); math.Abs(got-want) > 0x1p-51*math.Max(1, math.Abs(want)) {
			t.Fatalf("of %v: %v, want %v", x, got, want)
		}
	}
	for _, tt := range []struct {
		x    float64
		bits uint64
	}{
		{1e-09, 0xc034b927f32bffb8},
		{0.013, 0xc0115f0883f73978},
		{0.3, 0xbff34378fcbda721},
		{0.7, 0xbfd6d3c324e13f50},
		{1, 0x0},
		{1.7, 0x3fe0fae81914a991},
		{2.9, 0x3ff1090e20315212},
		{55.5, 0x401010c6b5e95d63},
		{1e+12, 0x403ba18a998fffa0},
	} {
		if got := math.Float64bits(NaturalLog(tt.x)); got != tt.bits {
			t.Errorf("of %v: %#x, want %#x", tt.x, got, tt.bits)
		}
	}
}
