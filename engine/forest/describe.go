package forest

import (
	"encoding/hex"
	"slices"
)

// Description is what an operator wants to know about a model file.
type Description struct {
	Format        string   `json:"format"`
	Version       string   `json:"version"`
	SHA256        string   `json:"sha256"`
	Bytes         int      `json:"bytes"`
	Library       string   `json:"library"`
	Objective     string   `json:"objective,omitempty"` // absent for a custom one
	Link          string   `json:"link"`
	Classes       int      `json:"classes"`
	Iterations    int      `json:"iterations"`
	BestIteration int      `json:"best_iteration,omitempty"` // what early stopping found; see Forest.Prefix
	Average       bool     `json:"average"`                  // a random forest
	Trees         int      `json:"trees"`
	Nodes         int      `json:"nodes"` // inner nodes
	Leaves        int      `json:"leaves"`
	LeavesMax     int      `json:"leaves_max"`
	DepthMax      int      `json:"depth_max"`
	Features      int      `json:"features"`
	FeaturesUsed  int      `json:"features_used"`
	ThresholdsMax int      `json:"thresholds_max"` // distinct ones of the feature that has most
	Categorical   bool     `json:"categorical"`    // splits by category
	Linear        bool     `json:"linear"`         // leaves are linear models
	Covers        bool     `json:"covers"`         // explanations are possible
	Scorers       []string `json:"scorers"`
	NoLeaves      string   `json:"no_leaves,omitempty"` // why the reference engine cannot score it
	Warnings      []string `json:"warnings,omitempty"`
}

// Describe summarises a validated forest.
func (f *Forest) Describe() Description {
	d := Description{
		Format:        f.Source.Format,
		Version:       f.Source.Version,
		SHA256:        hex.EncodeToString(f.Source.SHA256[:]),
		Bytes:         f.Source.Bytes,
		Library:       f.Library.String(),
		Objective:     f.Objective,
		Link:          f.Link.String(),
		Classes:       f.Classes,
		Iterations:    f.Iterations,
		BestIteration: f.BestIteration,
		Average:       f.Average,
		Trees:         len(f.Trees),
		Features:      len(f.Features),
		Covers:        true,
		Scorers:       []string{"compiled"},
		Warnings:      slices.Clone(f.Warnings),
	}
	thresholds := make([][]float64, len(f.Features))
	for t := range f.Trees {
		d.addTree(&f.Trees[t], thresholds)
	}
	for _, read := range f.Reads() {
		if read {
			d.FeaturesUsed++
		}
	}
	for _, values := range thresholds {
		slices.Sort(values)
		d.ThresholdsMax = max(d.ThresholdsMax, len(slices.Compact(values)))
	}
	if err := leavesRefuses(f); err != nil {
		d.NoLeaves = err.Error()
	} else {
		d.Scorers = append(d.Scorers, "leaves")
	}
	return d
}

// Reads reports which features the trees read: in a split, or in a linear leaf.
func (f *Forest) Reads() []bool {
	reads := make([]bool, len(f.Features))
	for i := range f.Trees {
		f.Trees[i].reads(reads)
	}
	return reads
}

func (t *Tree) reads(features []bool) {
	for i := range t.Nodes {
		features[t.Nodes[i].Feature] = true
	}
	for i := range t.Linear {
		for _, feature := range t.Linear[i].Features {
			features[feature] = true
		}
	}
}

func (d *Description) addTree(t *Tree, thresholds [][]float64) {
	d.Nodes += len(t.Nodes)
	d.Leaves += len(t.Leaves)
	d.LeavesMax = max(d.LeavesMax, len(t.Leaves))
	d.DepthMax = max(d.DepthMax, t.depth())
	d.Linear = d.Linear || t.Linear != nil
	d.Covers = d.Covers && linearFault(t) == ""
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Kind == SplitInSet || n.Kind == SplitNotInSet {
			d.Categorical = true
		} else {
			thresholds[n.Feature] = append(thresholds[n.Feature], n.Threshold)
		}
	}
	if len(t.Nodes) > 0 {
		d.Covers = d.Covers && t.Nodes[0].Cover > 0
	}
}

// depth is the number of tests on the longest path.
func (t *Tree) depth() int {
	if len(t.Nodes) == 0 {
		return 0
	}
	deepest := 0
	stack := []pendingNode{{node: 0, depth: 1}}
	for len(stack) > 0 {
		p := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		deepest = max(deepest, int(p.depth))
		n := &t.Nodes[p.node]
		for _, child := range [2]int32{n.Left, n.Right} {
			if child >= 0 {
				stack = append(stack, pendingNode{node: child, depth: p.depth + 1})
			}
		}
	}
	return deepest
}

// String returns the library's name.
func (l Library) String() string {
	switch l {
	case LightGBM:
		return "lightgbm"
	case XGBoost:
		return "xgboost"
	}
	return "unknown"
}

// String returns the link's name.
func (l Link) String() string {
	names := [...]string{"identity", "sigmoid", "softmax", "exp", "log1p(exp)", "signed square", "hinge"}
	if int(l) >= len(names) {
		return "unknown"
	}
	return names[l]
}

// Prefix returns the forest of the first iterations only, as predicting up to a best iteration does. It shares the
// trees with f. A random forest's average is over the iterations that are left.
func (f *Forest) Prefix(iterations int) (*Forest, error) {
	if f.Rounds == nil || iterations < 0 || iterations > f.Iterations {
		return nil, fault(KindShape, "model has %d iterations, not %d", f.Iterations, iterations)
	}
	g := *f
	g.Iterations = iterations
	g.Rounds = f.Rounds[:iterations+1]
	g.Trees = f.Trees[:f.Rounds[iterations]]
	return &g, nil
}
