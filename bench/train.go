package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/retainwise/millrace/engine/forest"
)

// training says how a model for the benchmarks is made: gradient boosting on histograms, growing leaf by leaf as
// LightGBM does. A model that has seen the rows' distribution splits where rows are, and that decides how well those
// who branch can predict. The same values give the same model.
type training struct {
	trees, leaves, features int
	rows                    int
}

const (
	learningRate  = 0.03
	leafRowsMin   = 20
	binsMax       = 254 // of values; one more is for missing
	missingBin    = 255
	featureShare  = 0.5 // of the features, drawn anew for each tree
	trainingSeed  = 1
	scoredSeed    = 2
	regularise    = 1e-3
	thresholdSeed = 3
)

// trainer holds the training rows as bins and the state of the boosting.
type trainer struct {
	training
	random    *rand.Rand
	cuts      [][]float64 // by feature: bin b holds x <= cuts[b]
	bins      [][]uint8   // by feature
	labels    []float64
	raw       []float64
	gradients []pair
	chosen    []int // features of the tree in work
}

// pair is a row's gradient and hessian.
type pair struct{ g, h float64 }

// train makes the model.
func (t training) train() (*forest.Forest, error) {
	source := newCustomers(t.features, trainingSeed)
	rows := source.draw(t.rows)
	w := &trainer{
		training: t, random: rand.New(rand.NewPCG(trainingSeed, 13)), labels: source.churned(rows),
		raw: make([]float64, t.rows), gradients: make([]pair, t.rows),
	}
	for _, c := range rows.Columns {
		cuts := chooseCuts(c.Numbers)
		w.cuts = append(w.cuts, cuts)
		w.bins = append(w.bins, binColumn(c.Numbers, cuts))
	}
	f := &forest.Forest{
		Source:  forest.Source{Name: "generated", Format: forest.FormatLightGBM, Version: "v4"},
		Library: forest.LightGBM, Objective: "binary sigmoid:1", Link: forest.LinkSigmoid, Sigmoid: 1,
		Classes: 1, Base: []float64{0}, Iterations: t.trees,
	}
	for i := range t.features {
		f.Features = append(f.Features, forest.Feature{Name: fmt.Sprintf("f%d", i)})
	}
	for range t.trees {
		f.Trees = append(f.Trees, w.tree())
	}
	if err := f.Validate(forest.DefaultLimits()); err != nil {
		return nil, fmt.Errorf("train model: %w", err)
	}
	return f, nil
}

// chooseCuts puts bounds between the values, and into quantiles if there are too many values.
func chooseCuts(numbers []float64) []float64 {
	sorted := slices.DeleteFunc(slices.Clone(numbers), math.IsNaN)
	slices.Sort(sorted)
	distinct := slices.Compact(slices.Clone(sorted))
	if len(distinct) > binsMax {
		for i := range binsMax {
			distinct[i] = sorted[i*len(sorted)/binsMax]
		}
		distinct = slices.Compact(distinct[:binsMax])
	}
	var cuts []float64
	for i := 1; i < len(distinct); i++ {
		cuts = append(cuts, (distinct[i-1]+distinct[i])/2)
	}
	return cuts
}

func binColumn(numbers, cuts []float64) []uint8 {
	bins := make([]uint8, len(numbers))
	for row, x := range numbers {
		bin, _ := slices.BinarySearch(cuts, x)
		if x != x {
			bin = missingBin
		}
		bins[row] = uint8(bin)
	}
	return bins
}

// tree fits one tree to the gradients and adds it to the raw scores.
func (w *trainer) tree() forest.Tree {
	for i, raw := range w.raw {
		p := 1 / (1 + math.Exp(-raw))
		w.gradients[i] = pair{p - w.labels[i], p * (1 - p)}
	}
	w.chosen = w.random.Perm(w.features)[:max(1, int(featureShare*float64(w.features)))]
	slices.Sort(w.chosen)
	all := make([]int32, w.rows)
	for i := range all {
		all[i] = int32(i)
	}
	g := grower{trainer: w}
	g.grow(all)
	for i, leaf := range g.open {
		value := -learningRate * leaf.sum.g / (leaf.sum.h + regularise)
		g.tree.Leaves[i] = forest.Leaf{Value: value, Cover: float64(leaf.sum.n)}
		for _, row := range leaf.rows {
			w.raw[row] += value
		}
	}
	return g.tree
}
