package forest

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// goldenBits reads pairs of bits that glibc made: testdata/train/make_libm_goldens.py.
func goldenBits(t *testing.T, name string) (pairs [][2]uint64) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "testdata", "forest", "libm", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		var pair [2]uint64
		for i, text := range strings.Fields(line) {
			if pair[i], err = strconv.ParseUint(text, 16, 64); err != nil {
				t.Fatal(err)
			}
		}
		pairs = append(pairs, pair)
	}
	return pairs
}

func TestLogarithmAndExponentialHaveTheBitsOfGlibc(t *testing.T) {
	for _, tt := range []struct {
		golden string
		got    func(float32) float32
		exact  func(float64) float64
		differ int // pairs at least that the correctly rounded function gets differently
	}{
		{"logf.tsv", log32, math.Log, 100},
		{"expf.tsv", exp32, math.Exp, 1},
	} {
		differ := 0
		for _, pair := range goldenBits(t, tt.golden) {
			x, want := math.Float32frombits(uint32(pair[0])), math.Float32frombits(uint32(pair[1]))
			if got := tt.got(x); got != want {
				t.Errorf("%s: of %x: %x, want %x", tt.golden, x, got, want)
			}
			if float32(tt.exact(float64(x))) != want {
				differ++
			}
		}
		if differ < tt.differ {
			t.Errorf("%s: only %d pairs tell glibc from the correctly rounded function", tt.golden, differ)
		}
	}
}

func TestWideExponentialHasTheBitsOfGlibc(t *testing.T) {
	pairs := goldenBits(t, "exp.tsv")
	if len(pairs) < 3000 {
		t.Fatalf("%d pairs", len(pairs))
	}
	for _, pair := range pairs {
		x := math.Float64frombits(pair[0])
		if got := math.Float64bits(exp64(x)); got != pair[1] {
			t.Errorf("of %v: %x, want %x", x, got, pair[1])
		}
	}
	for _, x := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
		if got, want := exp64(x), math.Exp(x); got != want && !(got != got && want != want) {
			t.Errorf("of %v: %v", x, got)
		}
	}
}

func TestLogarithmAndExponentialAtTheirEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tt := range []struct {
		name      string
		got, want float32
	}{
		{"log 0", log32(0), -inf},
		{"log -0", log32(float32(math.Copysign(0, -1))), -inf},
		{"log 1", log32(1), 0},
		{"log inf", log32(inf), inf},
		{"log -1", log32(-1), nan},
		{"log -inf", log32(-inf), nan},
		{"log nan", log32(nan), nan},
		{"exp 0", exp32(0), 1},
		{"exp inf", exp32(inf), inf},
		{"exp 88.8", exp32(88.8), inf},
		{"exp -inf", exp32(-inf), 0},
		{"exp -104", exp32(-104), 0},
		{"exp -103.9", exp32(-103.9), math.SmallestNonzeroFloat32},
		{"exp nan", exp32(nan), nan},
	} {
		if tt.got != tt.want && !(tt.got != tt.got && tt.want != tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}
