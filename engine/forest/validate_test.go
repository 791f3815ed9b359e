package forest_test

import (
	"math"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// sound returns a forest of one tree with a numeric and a category split, which a test then spoils.
func sound(library forest.Library) *forest.Forest {
	number, set := forest.SplitLessEqual, forest.SplitInSet
	if library == forest.XGBoost {
		number, set = forest.SplitLess, forest.SplitNotInSet
	}
	return &forest.Forest{
		Library: library, Sigmoid: 1, Classes: 1, Base: []float64{0}, Iterations: 1,
		Features: []forest.Feature{{Name: "a"}, {Name: "b"}},
		Trees: []forest.Tree{{
			Nodes: []forest.Node{
				{Kind: number, Threshold: 0.5, Left: 1, Right: ^2, Missing: forest.MissingNaN},
				{Kind: set, Feature: 1, Left: ^0, Right: ^1, Missing: forest.MissingNaN},
			},
			Leaves: []forest.Leaf{{Value: 1}, {Value: 2}, {Value: 3}},
			Sets:   [][]uint32{{4}},
		}},
	}
}

func TestValidate(t *testing.T) {
	for _, library := range []forest.Library{forest.LightGBM, forest.XGBoost} {
		if err := sound(library).Validate(forest.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		kind  forest.Kind
		spoil func(f *forest.Forest, tree *forest.Tree, root *forest.Node)
	}{
		"library":    {forest.KindUnsupported, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Library = 0 }},
		"link":       {forest.KindUnsupported, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Link = 99 }},
		"classes":    {forest.KindShape, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Classes = 0 }},
		"many":       {forest.KindLimits, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Classes = 5000 }},
		"base count": {forest.KindShape, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Base = nil }},
		"base":       {forest.KindValue, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Base[0] = math.Inf(1) }},
		"sigmoid":    {forest.KindValue, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Sigmoid = math.Inf(1) }},
		"trees": {forest.KindLimits, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) {
			f.Trees = make([]forest.Tree, 50_001)
		}},
		"features": {forest.KindLimits, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) {
			f.Features = make([]forest.Feature, 100_001)
		}},
		"average": {forest.KindShape, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) {
			f.Average, f.Iterations = true, 0
		}},
		"rounds":     {forest.KindShape, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Rounds = []int32{0, 2} }},
		"rounds gap": {forest.KindShape, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) { f.Rounds = []int32{0} }},
		"rounds back": {forest.KindShape, func(f *forest.Forest, _ *forest.Tree, _ *forest.Node) {
			f.Iterations, f.Rounds = 3, []int32{0, 1, 0, 1}
		}},
		"class":      {forest.KindShape, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Class = 1 }},
		"leaf count": {forest.KindTree, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Leaves = t.Leaves[:2] }},
		"no leaves": {forest.KindTree, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) {
			t.Nodes, t.Leaves = nil, nil
		}},
		"numbers":    {forest.KindTree, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.LeafNumbers = []int32{1} }},
		"set empty":  {forest.KindCategory, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Sets[0][0] = 0 }},
		"set none":   {forest.KindCategory, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Sets[0] = nil }},
		"set gone":   {forest.KindCategory, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Nodes[1].Set = 1 }},
		"set before": {forest.KindCategory, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Nodes[1].Set = -1 }},
		"set huge": {forest.KindCategory, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) {
			t.Sets[0] = append(make([]uint32, 1<<19), 1)
		}},
		"feature":      {forest.KindFeature, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Feature = 2 }},
		"threshold":    {forest.KindValue, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Threshold = math.NaN() }},
		"kind":         {forest.KindUnsupported, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Kind = 9 }},
		"other kind":   {forest.KindUnsupported, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Kind = 1 - n.Kind }},
		"missing":      {forest.KindUnsupported, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Missing = 3 }},
		"leaf":         {forest.KindValue, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Leaves[1].Value = math.NaN() }},
		"child":        {forest.KindTree, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Left = 2 }},
		"child before": {forest.KindTree, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Left = math.MinInt32 }},
		"leaf twice":   {forest.KindTree, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Right = ^1 }},
		"cut off":      {forest.KindTree, func(_ *forest.Forest, _ *forest.Tree, n *forest.Node) { n.Left = ^0 }},
		"linear":       {forest.KindField, func(_ *forest.Forest, t *forest.Tree, _ *forest.Node) { t.Linear = make([]forest.Linear, 2) }},
	} {
		for _, library := range []forest.Library{forest.LightGBM, forest.XGBoost} {
			f := sound(library)
			tt.spoil(f, &f.Trees[0], &f.Trees[0].Nodes[0])
			if err := f.Validate(forest.Limits{}); !hasKind(err, tt.kind) {
				t.Errorf("%s of %v: %v, want kind %s", name, library, err, tt.kind)
			}
		}
	}
}

// TestValidateNarrow: whatever XGBoost holds is a float32, so no scorer rounds a second time.
func TestValidateNarrow(t *testing.T) {
	for name, spoil := range map[string]func(f *forest.Forest){
		"base":      func(f *forest.Forest) { f.Base[0] = 0.1 },
		"threshold": func(f *forest.Forest) { f.Trees[0].Nodes[0].Threshold = 0.1 },
		"leaf":      func(f *forest.Forest) { f.Trees[0].Leaves[0].Value = 0.1 },
		"missing":   func(f *forest.Forest) { f.Trees[0].Nodes[0].Missing = forest.MissingZero },
		"linear":    func(f *forest.Forest) { f.Trees[0].Linear = make([]forest.Linear, 3) },
	} {
		f := sound(forest.XGBoost)
		spoil(f)
		if err := f.Validate(forest.Limits{}); err == nil {
			t.Errorf("%s is accepted", name)
		}
		f = sound(forest.LightGBM)
		spoil(f)
		if err := f.Validate(forest.Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{forest.LightGBM.String(), "lightgbm"},
		{forest.XGBoost.String(), "xgboost"},
		{forest.Library(9).String(), "unknown"},
		{forest.LinkSoftmax.String(), "softmax"},
		{forest.Link(99).String(), "unknown"},
		{forest.KindNoCover.String(), "no cover"},
		{forest.Kind(99).String(), "unknown"},
		{
			(&forest.Error{Tree: 3, Node: 7, Field: "threshold", Reason: "is NaN", File: "m.txt"}).Error(),
			`model "m.txt": tree 3: node 7: threshold: is NaN`,
		},
		{(&forest.Error{Tree: -1, Node: -1, Reason: "file is empty"}).Error(), "model: file is empty"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
