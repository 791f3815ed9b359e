package engine_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"

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

// TestBundleNamesCategoriesInItsWay: a bundle may write a trained number or boolean otherwise than the model file.
func TestBundleNamesCategoriesInItsWay(t *testing.T) {
	model, err := os.ReadFile("../testdata/models/lightgbm-4.7.0/bool/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	const bundle = `
name: mine
version: '1'
model: model.txt
probability: true
bands: [{name: low, below: 0.5}, {name: high}]
columns:
- {name: x, type: number}
- {name: z, type: number}
- {name: k, type: category, categories: ['true', 'FALSE']}
- {name: flag, type: number}
`
	rows := "x,z,k,flag,_raw,_probability\n,11.79,FALSE,0,-2.059972739346402,0.11304856343042838\n" +
		"-1.130096771890423,73.41,true,0,2.2902591552634766,0.908067086963032\n"
	for text, wrong := range map[string]bool{bundle: false, strings.Replace(bundle, "FALSE", "nein", 1): true} {
		files := fstest.MapFS{
			"bundle.yaml": {Data: []byte(text)}, "model.txt": {Data: model}, "golden.csv": {Data: []byte(rows)},
		}
		writeManifest(files)
		if _, err := engine.OpenBundle(files); wrong != errors.Is(err, engine.ErrModelColumns) || !wrong && err != nil {
			t.Errorf("wrong categories %t: %v", wrong, err)
		}
	}
}
