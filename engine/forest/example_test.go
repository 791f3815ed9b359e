package forest_test

import (
	"fmt"
	"log"
	"math"
	"os"

	"github.com/retainwise/millrace/engine/forest"
)

// exampleModel reads a model of five features that the tests keep.
func exampleModel() *forest.Forest {
	file, err := os.ReadFile("../../testdata/forest/lightgbm/binary/model.txt")
	if err != nil {
		log.Fatal(err)
	}
	f, err := forest.Read("model.txt", file, forest.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	return f
}

// exampleRows are two rows: one that lacks every value, and one of ones.
func exampleRows(f *forest.Forest) forest.Rows {
	rows := forest.Rows{Len: 2, Columns: make([]forest.Column, len(f.Features))}
	for i := range rows.Columns {
		rows.Columns[i].Numbers = []float64{math.NaN(), 1}
	}
	return rows
}

// A model file is read from memory; its format is detected.
func ExampleRead() {
	file, err := os.ReadFile("../../testdata/forest/lightgbm/binary/model.txt")
	if err != nil {
		log.Fatal(err)
	}
	f, err := forest.Read("model.txt", file, forest.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Source.Format, f.Source.Version, f.Objective)
	fmt.Println(len(f.Features), "features,", len(f.Trees), "trees")
	// Output:
	// lightgbm-text v4 binary
	// 5 features, 8 trees
}

// Each goroutine that scores takes a scorer of its own; the compiled forest is shared.
func ExampleCompiled_NewScorer() {
	f := exampleModel()
	compiled, err := forest.Compile(f)
	if err != nil {
		log.Fatal(err)
	}
	rows := exampleRows(f)
	raw := make([]float64, rows.Len*f.Classes)
	compiled.NewScorer().Raw(raw, rows)
	probabilities := make([]float64, len(raw))
	f.Probabilities(probabilities, raw)
	for i := range raw {
		fmt.Printf("%.6f %.6f\n", raw[i], probabilities[i])
	}
	// Output:
	// -2.112852 0.107854
	// 1.841273 0.863099
}

// Contributions of a row, one per feature and then the bias, add up to its raw score.
func ExampleExplainer() {
	f := exampleModel()
	explainer, err := forest.NewExplainer(f)
	if err != nil {
		log.Fatal(err)
	}
	rows := exampleRows(f)
	width := len(f.Features) + 1
	contributions := make([]float64, rows.Len*f.Classes*width)
	explainer.NewContributor().Contributions(contributions, rows)
	sum := 0.0
	for i, c := range contributions[width:] {
		sum += c
		if i < len(f.Features) {
			fmt.Printf("%s %+.4f\n", f.Features[i].Name, c)
		}
	}
	fmt.Printf("sum %.4f\n", sum)
	// Output:
	// Column_0 +1.6089
	// Column_1 +0.0617
	// Column_2 +0.7799
	// Column_3 +0.1024
	// Column_4 -0.2145
	// sum 1.8413
}

// A forest cut to its first iterations scores as predicting up to a best iteration does.
func ExampleForest_Prefix() {
	f := exampleModel()
	first, err := f.Prefix(1)
	if err != nil {
		log.Fatal(err)
	}
	rows := exampleRows(f)
	raw := make([]float64, rows.Len)
	forest.NewWalker(first).Raw(raw, rows)
	fmt.Printf("%d of %d iterations: %.4f\n", first.Iterations, f.Iterations, raw)
	// Output:
	// 1 of 8 iterations: [-0.6882 0.0737]
}
