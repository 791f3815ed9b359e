package forest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// fields are the lines of a section, or the members of an object, that a test changes; nil removes one.
type fields map[string]any

// stump is a LightGBM tree of two leaves, -1 to the left and 1 to the right of 0.5 on feature 0.
func stump(changes fields) fields {
	t := fields{
		"num_leaves": 2, "num_cat": 0, "split_feature": 0, "threshold": 0.5, "decision_type": 2,
		"left_child": -1, "right_child": -2, "leaf_value": "-1 1", "leaf_count": "6 4", "internal_count": 10,
		"is_linear": 0, "shrinkage": 1,
	}
	maps.Copy(t, changes)
	return t
}

// lightgbmText writes a model with one class and two features unless the header says otherwise.
func lightgbmText(header fields, trees ...fields) string {
	h := fields{
		"version": "v4", "num_class": 1, "num_tree_per_iteration": 1, "label_index": 0, "max_feature_idx": 1,
		"objective": "regression", "feature_names": "a b", "feature_infos": "[0:1] [0:1]",
	}
	maps.Copy(h, header)
	var b strings.Builder
	b.WriteString("tree\n")
	writeLines(&b, h)
	for i, t := range trees {
		fmt.Fprintf(&b, "\nTree=%d\n", i)
		writeLines(&b, t)
		b.WriteString("\n")
	}
	b.WriteString("\nend of trees\n\nfeature_importances:\na=1\n\nparameters:\n[boosting: gbdt]\n\nend of parameters\n")
	return b.String()
}

func writeLines(b *strings.Builder, lines fields) {
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		switch v := lines[key]; {
		case v == nil:
		case key == "average_output":
			b.WriteString("average_output\n")
		default:
			fmt.Fprintf(b, "%s=%v\n", key, v)
		}
	}
}

// xgboostStump is an XGBoost tree of two leaves, -1 to the left and 1 to the right of 0.5 on feature 0.
func xgboostStump(changes fields) fields {
	t := fields{
		"left_children": []int{1, -1, -1}, "right_children": []int{2, -1, -1}, "parents": []int{2147483647, 0, 0},
		"split_indices": []int{0, 0, 0}, "split_conditions": []float64{0.5, -1, 1}, "default_left": []int{0, 0, 0},
		"sum_hessian": []float64{10, 6, 4}, "base_weights": []float64{0, 0, 0}, "loss_changes": []float64{1, 0, 0},
		"split_type": []int{0, 0, 0}, "categories": []int{}, "categories_nodes": []int{},
		"categories_segments": []int{}, "categories_sizes": []int{},
		"tree_param": fields{"num_deleted": "0", "num_feature": "2", "num_nodes": "3", "size_leaf_vector": "1"},
	}
	maps.Copy(t, changes)
	return t
}

// xgboostModel is a document with the given trees, two features and base score 0; edit changes it before it is written.
func xgboostModel(t testing.TB, edit func(doc, learner, model fields), trees ...fields) string {
	t.Helper()
	if trees == nil {
		trees = []fields{}
	}
	classes := make([]int, len(trees))
	for i := range trees {
		if _, ok := trees[i]["id"]; !ok {
			trees[i]["id"] = i
		}
	}
	model := fields{
		"gbtree_model_param": fields{"num_parallel_tree": "1", "num_trees": fmt.Sprint(len(trees))},
		"tree_info":          classes, "trees": trees,
		"cats": fields{"enc": []int{}, "feature_segments": []int{}, "sorted_idx": []int{}},
	}
	learner := fields{
		"attributes": fields{}, "feature_names": []string{}, "feature_types": []string{},
		"gradient_booster":    fields{"name": "gbtree", "model": model},
		"learner_model_param": fields{"base_score": "0E0", "num_class": "0", "num_feature": "2", "num_target": "1"},
		"objective":           fields{"name": "reg:squarederror"},
	}
	doc := fields{"learner": learner, "version": []int{3, 4, 1}}
	if edit != nil {
		edit(doc, learner, model)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// objectiveOf changes objective, base score and classes of an XGBoost model.
func objectiveOf(name, base, classes string) func(doc, learner, model fields) {
	return func(_, learner, _ fields) {
		learner["objective"] = fields{"name": name}
		param := learner["learner_model_param"].(fields)
		param["base_score"], param["num_class"] = base, classes
	}
}

func mustRead(t testing.TB, text string) *forest.Forest {
	t.Helper()
	f, err := forest.Read("model", []byte(text), forest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// leavesOrNil is nil where leaves cannot hold the forest.
func leavesOrNil(f *forest.Forest) *forest.Leaves {
	l, err := forest.NewLeaves(f)
	if err != nil {
		return nil
	}
	return l
}

// raw scores one row with the walker and demands that every other scorer agrees.
func raw(t testing.TB, f *forest.Forest, row ...float64) []float64 {
	t.Helper()
	scores := exactRaw(t, f, row...)
	l, err := forest.NewLeaves(f)
	if leavesRefused(err) {
		return scores
	}
	got := make([]float64, f.Classes)
	if err == nil {
		err = l.Raw(got, columns([][]float64{row}))
	}
	if err != nil {
		t.Fatal(err)
	}
	near(t, got, scores, 4e-6)
	return scores
}

// exactRaw is raw without leaves, which adds in float64.
func exactRaw(t testing.TB, f *forest.Forest, row ...float64) []float64 {
	t.Helper()
	rows := columns([][]float64{row})
	scores := make([]float64, f.Classes)
	forest.NewWalker(f).Raw(scores, rows)
	compiled, err := forest.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, f.Classes)
	compiled.NewScorer().Raw(got, rows)
	sameBits(t, got, scores)
	return scores
}

// probability scores one row and applies the link.
func probability(t testing.TB, f *forest.Forest, row ...float64) []float64 {
	t.Helper()
	scores := raw(t, f, row...)
	f.Probabilities(scores, scores)
	return scores
}

// refusal demands that a model is refused for the given reason.
func refusal(t testing.TB, text string, kind forest.Kind) *forest.Error {
	t.Helper()
	f, err := forest.Read("model", []byte(text), forest.Limits{})
	var e *forest.Error
	if !errors.As(err, &e) {
		t.Errorf("no error but %v, %v; want kind %s", f, err, kind)
		return &forest.Error{}
	}
	if e.Kind != kind {
		t.Errorf("kind %s, want %s: %v", e.Kind, kind, err)
	}
	return e
}

// wantKind demands that a file is refused for one kind of fault.
func wantKind(t testing.TB, text string, kind forest.Kind) {
	t.Helper()
	_ = refusal(t, text, kind)
}

// up and down are the neighbours of a value, in float64 and in float32.
func up(x float64) float64     { return math.Nextafter(x, math.Inf(1)) }
func down(x float64) float64   { return math.Nextafter(x, math.Inf(-1)) }
func down32(x float64) float64 { return float64(math.Nextafter32(float32(x), float32(math.Inf(-1)))) }
