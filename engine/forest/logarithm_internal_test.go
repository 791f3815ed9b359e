package forest

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// goldenBits reads pairs of float32 bits that glibc made: testdata/train/make_libm_goldens.py.
func goldenBits(t *testing.T, name string) (pairs [][2]float32) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "testdata", "forest", "libm", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		var pair [2]float32
		for i, text := range strings.Fields(line) {
			bits, err := strconv.ParseUint(text, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			pair[i] = math.Float32frombits(uint32(bits))
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
			if got := tt.got(pair[0]); math.Float32bits(got) != math.Float32bits(pair[1]) {
				t.Errorf("%s: of %x: %x, want %x", tt.golden, pair[0], got, pair[1])
			}
			if float32(tt.exact(float64(pair[0]))) != pair[1] {
				differ++
			}
		}
		if differ < tt.differ {
			t.Errorf("%s: only %d pairs tell glibc from the correctly rounded function", tt.golden, differ)
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
