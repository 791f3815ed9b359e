package forest_test

import (
	"math"
	"os"
	"slices"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

func TestCompileForGivesEveryKernelTheSameBits(t *testing.T) {
	file, err := os.ReadFile("../../testdata/forest/lightgbm/mixed_missing/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := forest.Read("model.txt", file, forest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	rows := f.ProbeRows()
	want := make([]float64, rows.Len*f.Classes)
	forest.NewWalker(f).Raw(want, rows)
	for _, kernel := range forest.Kernels() {
		c, err := forest.CompileFor(f, kernel)
		if err != nil {
			t.Fatal(err)
		}
		if c.Kernel() != kernel {
			t.Errorf("asked for %s, got %s", kernel, c.Kernel())
		}
		s, got := c.NewScorer(), make([]float64, len(want))
		s.Bin(rows) // leaves nothing behind that a score would show
		s.Raw(got, rows)
		if !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) {
			t.Errorf("%s: scores differ from the walker's", kernel)
		}
	}
}

func TestCompileForRefusesAForeignKernel(t *testing.T) {
	if _, err := forest.CompileFor(&forest.Forest{}, "neon9"); err == nil {
		t.Error("a kernel that does not exist was taken")
	}
}

func TestCompileChoosesTheLastKernel(t *testing.T) {
	file, err := os.ReadFile("../../testdata/forest/lightgbm/binary/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := forest.Read("model.txt", file, forest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := forest.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	kernels := forest.Kernels()
	if c.Kernel() != kernels[len(kernels)-1] {
		t.Errorf("compile chose %s of %v", c.Kernel(), kernels)
	}
}
