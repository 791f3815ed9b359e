package forest_test

import (
	"math"
	"math/rand/v2"

	"github.com/retainwise/millrace/engine/forest"
)

// shapPlan describes the random forests that explanations are tested on.
type shapPlan struct {
	library  forest.Library
	features int
	trees    int
	leaves   int // per tree, at most
	classes  int
	sets     bool // some splits are on categories (the features with an odd index)
	empty    bool // some nodes were reached by no training row
	average  bool
	values   int  // distinct thresholds per feature; few make repeated and contradicting tests
	chain    bool // one child of every node is a leaf: deep paths
	full     bool // every tree has all its leaves
	linear   bool // leaves are linear models of one feature or none
}

// shapForest grows a random forest.
func shapForest(rng *rand.Rand, p shapPlan) *forest.Forest {
	f := &forest.Forest{
		Library: p.library, Link: forest.LinkSigmoid, Sigmoid: 1, Classes: max(p.classes, 1), Average: p.average,
		Features: make([]forest.Feature, p.features),
	}
	for range f.Classes {
		f.Base = append(f.Base, math.Round(rng.NormFloat64()*8)/8)
	}
	for i := range f.Features {
		f.Features[i].Name = string(rune('a' + i%26))
		f.Features[i].Categorical = p.sets && i%2 == 1
	}
	for i := range p.trees {
		g := shapGrower{rng: rng, plan: p, f: f}
		g.tree.Class = i % f.Classes
		leaves := p.leaves
		if !p.full {
			leaves = 1 + rng.IntN(p.leaves)
		}
		g.grow(leaves, 1000)
		if p.linear {
			g.tree.Linear = shapLinear(rng, p.features, g.tree.Leaves)
		}
		f.Trees = append(f.Trees, g.tree)
	}
	f.Iterations = p.trees / f.Classes
	return f
}

// shapLinear makes the linear models of a tree's leaves.
func shapLinear(rng *rand.Rand, features int, leaves []forest.Leaf) []forest.Linear {
	models := make([]forest.Linear, len(leaves))
	for i := range models {
		models[i].Const = leaves[i].Value
		if rng.IntN(5) > 0 {
			models[i] = forest.Linear{
				Const: rng.NormFloat64(), Features: []int32{int32(rng.IntN(features))}, Coefficients: []float64{rng.NormFloat64()},
			}
		}
	}
	return models
}

type shapGrower struct {
	rng  *rand.Rand
	plan shapPlan
	f    *forest.Forest
	tree forest.Tree
}

// grow adds a subtree and returns its place.
func (g *shapGrower) grow(leaves int, cover float64) int32 {
	if leaves <= 1 {
		value := float64(float32(g.rng.NormFloat64()))
		g.tree.Leaves = append(g.tree.Leaves, forest.Leaf{Value: value, Cover: cover})
		return ^int32(len(g.tree.Leaves) - 1)
	}
	at := len(g.tree.Nodes)
	g.tree.Nodes = append(g.tree.Nodes, forest.Node{})
	n := g.node(cover)
	left := math.Round(cover * g.rng.Float64())
	if g.plan.empty && g.rng.IntN(4) == 0 {
		left = 0
	} else if !g.plan.empty {
		left = max(cover/1000, left)
		left = min(left, cover*0.999)
	}
	some := 1 + g.rng.IntN(leaves-1)
	if g.plan.chain {
		some = 1
	}
	n.Left = g.grow(some, left)
	n.Right = g.grow(leaves-some, cover-left)
	g.tree.Nodes[at] = n
	return int32(at)
}

func (g *shapGrower) node(cover float64) forest.Node {
	n := forest.Node{Cover: cover, Feature: int32(g.rng.IntN(g.plan.features)), DefaultLeft: g.rng.IntN(2) == 0}
	xgboost := g.plan.library == forest.XGBoost
	if g.f.Features[n.Feature].Categorical {
		n.Set = int32(len(g.tree.Sets))
		g.tree.Sets = append(g.tree.Sets, []uint32{g.rng.Uint32() & 0x3ff})
		n.Kind, n.Missing, n.DefaultLeft = forest.SplitInSet, forest.MissingNaN, false
		if xgboost {
			n.Kind, n.DefaultLeft = forest.SplitNotInSet, g.rng.IntN(2) == 0
		}
		return n
	}
	n.Threshold = float64(g.rng.IntN(g.plan.values)-g.plan.values/2) / 4
	n.Kind, n.Missing = forest.SplitLessEqual, forest.Missing(g.rng.IntN(3))
	if xgboost {
		n.Kind, n.Missing = forest.SplitLess, forest.MissingNaN
	}
	return n
}

// shapRows makes random rows: around the thresholds, on them, missing, infinite, unseen categories.
func shapRows(rng *rand.Rand, f *forest.Forest, n int) forest.Rows {
	rows := forest.Rows{Len: n, Columns: make([]forest.Column, len(f.Features))}
	for i := range rows.Columns {
		x := make([]float64, n)
		for row := range x {
			switch k := rng.IntN(16); {
			case k == 0:
				x[row] = math.NaN()
			case k == 1 && !shapIsLinear(f):
				x[row] = math.Inf(rng.IntN(2)*2 - 1)
			case k == 2:
				x[row] = math.Copysign(1e-36*float64(rng.IntN(2)), rng.NormFloat64())
			case f.Features[i].Categorical:
				x[row] = float64(rng.IntN(14)) - 1.5 + float64(rng.IntN(2))/2
			case k < 9:
				x[row] = float64(rng.IntN(17)-8) / 4
			default:
				x[row] = rng.NormFloat64()
			}
		}
		rows.Columns[i].Numbers = x
	}
	return rows
}

// shapIsLinear reports whether leaves are linear models, which make of an infinite value a score that is none.
func shapIsLinear(f *forest.Forest) bool { return len(f.Trees) > 0 && f.Trees[0].Linear != nil }

// shapRowAt returns the values of one row.
func shapRowAt(rows forest.Rows, row int) []float64 {
	x := make([]float64, len(rows.Columns))
	for i := range x {
		x[i] = rows.Columns[i].At(row)
	}
	return x
}
