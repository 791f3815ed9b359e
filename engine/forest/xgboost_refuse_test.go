package forest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

func TestXGBoostRefusesDocuments(t *testing.T) {
	param := func(key, value string) func(doc, learner, model fields) {
		return func(_, learner, _ fields) { learner["learner_model_param"].(fields)[key] = value }
	}
	learnerHas := func(key string, value any) func(doc, learner, model fields) {
		return func(_, learner, _ fields) { learner[key] = value }
	}
	modelHas := func(key string, value any) func(doc, learner, model fields) {
		return func(_, _, model fields) { model[key] = value }
	}
	version := func(v ...int) func(doc, learner, model fields) {
		return func(doc, _, _ fields) { doc["version"] = v }
	}
	for name, tt := range map[string]struct {
		kind forest.Kind
		edit func(doc, learner, model fields)
	}{
		"version 4":         {forest.KindVersion, version(4, 0, 0)},
		"version 0":         {forest.KindVersion, version(0, 90, 0)},
		"version short":     {forest.KindField, version(3, 4)},
		"version missing":   {forest.KindField, func(doc, _, _ fields) { delete(doc, "version") }},
		"no learner":        {forest.KindFormat, func(doc, _, _ fields) { delete(doc, "learner") }},
		"learner no object": {forest.KindField, func(doc, _, _ fields) { doc["learner"] = 1 }},
		"serialised":        {forest.KindFormat, func(doc, _, _ fields) { doc["Config"] = fields{} }},
		"lightgbm dump":     {forest.KindFormat, func(doc, _, _ fields) { doc["tree_info"] = []int{} }},
		"catboost":          {forest.KindFormat, func(doc, _, _ fields) { doc["oblivious_trees"] = []int{} }},
		"booster":           {forest.KindUnsupported, learnerHas("gradient_booster", fields{"name": "gbforest", "model": fields{}})},
		"linear booster":    {forest.KindUnsupported, learnerHas("gradient_booster", fields{"name": "gblinear", "model": fields{}})},
		"linear weights":    {forest.KindUnsupported, learnerHas("gradient_booster", fields{"model": fields{"weights": []int{1}}})},
		"no trees":          {forest.KindField, func(_, _, model fields) { delete(model, "trees") }},
		"no parameters":     {forest.KindField, func(_, learner, _ fields) { delete(learner, "learner_model_param") }},
		"objective":         {forest.KindUnsupported, learnerHas("objective", fields{"name": "reg:mystery"})},
		"objective number":  {forest.KindField, learnerHas("objective", fields{"name": 1})},
		"no objective":      {forest.KindUnsupported, func(_, learner, _ fields) { delete(learner, "objective") }},
		"too many targets":  {forest.KindLimits, param("num_target", "100000")},
		"targets, classes": {forest.KindUnsupported, func(doc, learner, model fields) {
			objectiveOf("multi:softprob", "0.5", "3")(doc, learner, model)
			param("num_target", "2")(doc, learner, model)
		}},
		"classes":           {forest.KindShape, objectiveOf("binary:logistic", "0.5", "3")},
		"negative classes":  {forest.KindShape, param("num_class", "-1")},
		"too many classes":  {forest.KindLimits, objectiveOf("multi:softprob", "0.5", "100000")},
		"classes no number": {forest.KindField, param("num_class", "many")},
		"no features":       {forest.KindField, param("num_feature", "0")},
		"too many features": {forest.KindLimits, param("num_feature", "2000000000")},
		"feature range":     {forest.KindFeature, modelHas("trees", []any{xgboostStump(fields{"split_indices": []int{2, 0, 0}, "id": 0})})},
		"names too few":     {forest.KindFeature, learnerHas("feature_names", []string{"a"})},
		"names twice":       {forest.KindFeature, learnerHas("feature_names", []string{"a", "a"})},
		"names half":        {forest.KindFeature, learnerHas("feature_names", []string{"a", ""})},
		"names no strings":  {forest.KindField, learnerHas("feature_names", []int{1, 2})},
		"types too many":    {forest.KindFeature, learnerHas("feature_types", []string{"q", "q", "q"})},
		"tree count":        {forest.KindShape, modelHas("gbtree_model_param", fields{"num_trees": "2"})},
		"tree count gone":   {forest.KindShape, modelHas("gbtree_model_param", fields{})},
		"tree_info short":   {forest.KindShape, modelHas("tree_info", []int{})},
		"tree_info range":   {forest.KindShape, modelHas("tree_info", []int{1})},
		"tree_info minus":   {forest.KindShape, modelHas("tree_info", []int{-1})},
		"tree_info wide":    {forest.KindField, modelHas("tree_info", []int64{1 << 40})},
		"trees no array":    {forest.KindField, modelHas("trees", fields{})},
		"tree no object":    {forest.KindField, modelHas("trees", []int{1})},
		"base gone":         {forest.KindField, func(_, l, _ fields) { delete(l["learner_model_param"].(fields), "base_score") }},
		"base a number":     {forest.KindField, func(_, l, _ fields) { l["learner_model_param"].(fields)["base_score"] = 0.5 }},
		"best no string":    {forest.KindField, learnerHas("attributes", fields{"best_iteration": 3})},
	} {
		t.Run(name, func(t *testing.T) { wantKind(t, xgboostDocument(t, tt.edit), tt.kind) })
	}
}

func TestXGBoostRefusesTrees(t *testing.T) {
	param := func(nodes, deleted, vector string) fields {
		return fields{"tree_param": fields{"num_nodes": nodes, "num_deleted": deleted, "size_leaf_vector": vector}}
	}
	lists := func(nodes, starts, sizes any) fields {
		return fields{"categories_nodes": nodes, "categories_segments": starts, "categories_sizes": sizes}
	}
	// Five nodes whose children a test names.
	five := func(left, right []int) fields {
		return xgboostStump(fields{
			"left_children": left, "right_children": right, "split_indices": make([]int, 5), "split_type": make([]int, 5),
			"split_conditions": make([]int, 5), "default_left": make([]int, 5), "sum_hessian": make([]int, 5),
			"tree_param": fields{"num_nodes": "5", "num_deleted": "0"},
		})
	}
	for name, tt := range map[string]struct {
		kind forest.Kind
		tree fields
	}{
		"vector leaves":     {forest.KindUnsupported, xgboostStump(param("3", "0", "2"))},
		"node count":        {forest.KindField, xgboostStump(param("4", "0", "1"))},
		"node count gone":   {forest.KindField, xgboostStump(fields{"tree_param": fields{}})},
		"node count 0":      {forest.KindField, xgboostStump(param("0", "0", "1"))},
		"deleted count":     {forest.KindTree, xgboostStump(param("3", "1", "1"))},
		"wrong id":          {forest.KindShape, xgboostStump(fields{"id": 5})},
		"id no number":      {forest.KindShape, xgboostStump(fields{"id": "0"})},
		"left short":        {forest.KindField, xgboostStump(fields{"left_children": []int{1, -1}})},
		"left gone":         {forest.KindField, xgboostStump(fields{"left_children": nil})},
		"hessian short":     {forest.KindField, xgboostStump(fields{"sum_hessian": []int{1}})},
		"type short":        {forest.KindField, xgboostStump(fields{"split_type": []int{1}})},
		"type 2":            {forest.KindField, xgboostStump(fields{"split_type": []int{2, 0, 0}})},
		"default 2":         {forest.KindField, xgboostStump(fields{"default_left": []int{2, 0, 0}})},
		"child range":       {forest.KindTree, xgboostStump(fields{"left_children": []int{3, -1, -1}})},
		"child negative":    {forest.KindTree, xgboostStump(fields{"left_children": []int{-2, -1, -1}})},
		"one child":         {forest.KindTree, xgboostStump(fields{"left_children": []int{-1, -1, -1}})},
		"equal children":    {forest.KindTree, xgboostStump(fields{"left_children": []int{2, -1, -1}})},
		"root is a child":   {forest.KindTree, xgboostStump(fields{"left_children": []int{0, -1, -1}})},
		"cycle":             {forest.KindTree, five([]int{1, 0, -1, -1, -1}, []int{2, 3, -1, -1, -1})},
		"two parents":       {forest.KindTree, five([]int{1, 3, 3, -1, -1}, []int{2, 4, 4, -1, -1})},
		"unreachable":       {forest.KindTree, five([]int{1, -1, -1, 4, -1}, []int{2, -1, -1, 4, -1})},
		"leaf too large":    {forest.KindValue, xgboostStump(fields{"split_conditions": []float64{0, 1e39, 1}})},
		"no categories":     {forest.KindCategory, setTree(lists([]int{}, []int{}, []int{}), 1)},
		"other node":        {forest.KindCategory, setTree(fields{"categories_nodes": []int{1}}, 1)},
		"node range":        {forest.KindCategory, setTree(fields{"categories_nodes": []int{7}}, 1)},
		"node twice":        {forest.KindCategory, setTree(lists([]int{0, 0}, []int{0, 0}, []int{1, 1}), 1)},
		"sizes missing":     {forest.KindCategory, setTree(fields{"categories_sizes": []int{}}, 1)},
		"empty set":         {forest.KindCategory, setTree(fields{"categories_sizes": []int{0}}, 1)},
		"segment range":     {forest.KindCategory, setTree(fields{"categories_segments": []int{2}}, 1)},
		"segment overflow":  {forest.KindCategory, setTree(lists([]int{0}, []int{1}, []int64{1 << 60}), 1)},
		"category negative": {forest.KindCategory, setTree(nil, -1)},
		"category huge":     {forest.KindCategory, setTree(nil, 1<<24)},
	} {
		t.Run(name, func(t *testing.T) {
			e := refusal(t, xgboostModel(t, nil, xgboostStump(nil), tt.tree), tt.kind)
			if e.Tree != 1 && tt.kind != forest.KindField {
				t.Errorf("tree %d is named, want 1: %v", e.Tree, e)
			}
		})
	}
}

// TestXGBoostOverlappingSets: lists that share their categories would cost the square of the file's size.
func TestXGBoostOverlappingSets(t *testing.T) {
	tree := xgboostStump(fields{
		"left_children": []int{1, 3, -1, -1, -1}, "right_children": []int{2, 4, -1, -1, -1},
		"split_indices": make([]int, 5), "split_type": []int{1, 1, 0, 0, 0}, "split_conditions": make([]int, 5),
		"default_left": make([]int, 5), "sum_hessian": make([]int, 5), "tree_param": fields{"num_nodes": "5"},
		"categories": []int{1, 2, 3}, "categories_nodes": []int{0, 1}, "categories_segments": []int{0, 0},
		"categories_sizes": []int{3, 3},
	})
	wantKind(t, xgboostModel(t, nil, tree), forest.KindCategory)
}

func TestXGBoostNewerMinor(t *testing.T) {
	f := mustRead(t, xgboostDocument(t, func(doc, _, _ fields) { doc["version"] = []int{3, 9, 0} }))
	if len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "3.9.0") {
		t.Errorf("warnings %q", f.Warnings)
	}
}

func TestXGBoostDuplicateKeys(t *testing.T) {
	text := xgboostDocument(t, nil)
	for _, key := range []string{"tree_info", "left_children", "version", "name", "num_class"} {
		twice := strings.Replace(text, fmt.Sprintf("%q:", key), fmt.Sprintf("%q:0,%q:", key, key), 1)
		if _, err := forest.Read("m", []byte(twice), forest.Limits{}); err == nil {
			t.Errorf("%s twice is accepted", key)
		}
	}
}
