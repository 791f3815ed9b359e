package engine

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// testNumbers returns amounts with few and with many decimals, and midpoints between them.
func testNumbers() []float64 {
	list := []float64{
		0, math.Copysign(0, -1), 0.5, -0.5, 0.49999999999999994, 1.5, 2.5, 0.005, 1.005, 0.05, 0.125, 0.999, 0.9999, 99.995,
		1e-5, 5e-324, 1e14, 123456789012345.6, 1e15, -1e15, 1<<52 - 0.5, 1 << 53, 1e22, 1e300, math.MaxFloat64,
	}
	random := rand.New(rand.NewPCG(3, 1))
	for range 20_000 {
		x := math.Round(random.NormFloat64()*1e5) / math.Pow10(random.IntN(7))
		list = append(list, x, math.Nextafter(x, 0), random.NormFloat64()*math.Pow10(random.IntN(20)-4))
	}
	return list
}

func TestRoundHalfAwayEqualsMathRound(t *testing.T) {
	for _, x := range append(testNumbers(), math.Inf(1), math.Inf(-1)) {
		if got := roundHalfAway(x); got != math.Round(x) {
			t.Errorf("%v: got %v, want %v", x, got, math.Round(x))
		}
	}
	if !math.IsNaN(roundHalfAway(math.NaN())) {
		t.Error("NaN becomes a number")
	}
}

// TestAppendNumberEqualsStrconv covers the fast paths and the fallback.
func TestAppendNumberEqualsStrconv(t *testing.T) {
	for _, x := range testNumbers() {
		want := strconv.FormatFloat(x+0, 'g', significantDigits, 64)
		if x == math.Trunc(x) && math.Abs(x) < 1e15 {
			want = strconv.FormatFloat(x+0, 'f', 0, 64)
		}
		if got := string(appendNumber(nil, x)); got != want {
			t.Errorf("number %v: got %s, want %s", x, got, want)
		}
		if math.Abs(x) >= 1 {
			continue
		}
		want = strconv.FormatFloat(x+0, 'g', 3, 64)
		if got := string(appendReadable(nil, x)); got != want {
			t.Errorf("readable %v: got %s, want %s", x, got, want)
		}
	}
}

func TestAppendRounded(t *testing.T) {
	for _, x := range testNumbers() {
		if math.Abs(x) >= 1e9 {
			continue
		}
		for decimals := range 5 {
			scale := math.Pow10(decimals)
			want := strconv.FormatFloat(math.Round(x*scale)/scale+0, 'f', decimals, 64)
			if strings.Contains(want, ".") {
				want = strings.TrimRight(strings.TrimRight(want, "0"), ".")
			}
			if got := string(appendRounded([]byte("a"), x, decimals)); got != "a"+want {
				t.Errorf("%v to %d decimals: got %s, want a%s", x, decimals, got, want)
			}
		}
	}
}
