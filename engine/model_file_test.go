package engine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
)

func TestIterationsThatCount(t *testing.T) {
	model, err := os.ReadFile("../testdata/models/xgboost-3.4.1/early_best/model.ubj")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := engine.OpenModelFile("model.ubj", model)
	if err != nil {
		t.Fatal(err)
	}
	all, best := whole.Forest().Iterations, whole.Forest().BestIteration
	if best == 0 || best >= all {
		t.Fatalf("best %d of %d iterations: the model does not show the difference", best, all)
	}
	for _, tt := range []struct {
		iterations string
		count      int
		warned     bool
	}{{"", all, true}, {engine.IterationsAll, all, false}, {engine.IterationsBest, best, false}} {
		b, err := engine.OpenModelFileIterations("model.ubj", model, tt.iterations)
		if err != nil {
			t.Fatal(err)
		}
		warned := strings.Contains(strings.Join(b.Warnings(), "\n"), "early stopping")
		if got := b.Forest().Iterations; got != tt.count || warned != tt.warned {
			t.Errorf("iterations %q: %d count, warned %t; want %d, %t", tt.iterations, got, warned, tt.count, tt.warned)
		}
	}
	if _, err := engine.OpenModelFileIterations("model.ubj", model, "few"); err == nil {
		t.Error("iterations \"few\" is no error")
	}
}
