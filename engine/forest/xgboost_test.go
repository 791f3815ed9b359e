package forest_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// xgboostDocument is a model of one stump unless edit says otherwise.
func xgboostDocument(t testing.TB, edit func(doc, learner, model fields)) string {
	t.Helper()
	return xgboostModel(t, edit, xgboostStump(nil))
}

// TestXGBoostNarrowing: inputs are rounded to float32 first, and the threshold itself goes right.
func TestXGBoostNarrowing(t *testing.T) {
	at := func(threshold float64) *forest.Forest {
		return mustRead(t, xgboostModel(t, nil, xgboostStump(fields{"split_conditions": []float64{threshold, -1, 1}})))
	}
	f32 := func(v float64) float64 { return float64(float32(v)) }
	for _, tt := range []struct{ threshold, x, want float64 }{
		{0.5, 0.5, 1},
		{0.5, down(0.5), 1},
		{0.5, down32(0.5), -1},
		{0.5, up(0.5), 1},
		{f32(0.1), 0.1, 1},
		{f32(0.1), down32(0.1), -1},
		{f32(70.35), 70.35, 1},
		{f32(70.35), 70.34999, -1},
		{16777216, 16777217, 1},
		{16777218, 16777217, -1},
		{16777218, 16777219, 1},
		{0, math.Copysign(0, -1), 1},
		{0, -1e-46, 1},
		{0, -1e-45, -1},
		{0, math.Inf(-1), -1},
		{0, math.Inf(1), 1},
		{3.4028234663852886e38, 1e300, 1},
		{-3.4028234663852886e38, math.Inf(-1), -1},
	} {
		if got := raw(t, at(tt.threshold), tt.x, 0)[0]; got != tt.want {
			t.Errorf("threshold %v: %v gives %v, want %v", tt.threshold, tt.x, got, tt.want)
		}
	}
}

// TestXGBoostBareWords reads NaN and infinity, which only stand where they may.
func TestXGBoostBareWords(t *testing.T) {
	text := xgboostModel(t, nil, xgboostStump(nil))
	for _, tt := range []struct {
		threshold string
		left      []float64
		right     []float64
	}{
		{"Infinity", []float64{0, math.MaxFloat32, math.Inf(-1)}, []float64{math.Inf(1), 1e39, math.NaN()}},
		{"-Infinity", nil, []float64{math.Inf(-1), 0, math.NaN()}},
	} {
		f := mustRead(t, strings.Replace(text, "[0.5,-1,1]", "["+tt.threshold+", -1E0, 1]", 1))
		for want, values := range map[float64][]float64{-1: tt.left, 1: tt.right} {
			for _, x := range values {
				if got := raw(t, f, x, 0)[0]; got != want {
					t.Errorf("threshold %s: %v gives %v, want %v", tt.threshold, x, got, want)
				}
			}
		}
	}
	mustRead(t, strings.Replace(text, `"loss_changes":[1,0,0]`, `"loss_changes":[NaN,-Infinity,Infinity]`, 1))
	wantKind(t, strings.Replace(text, "[0.5,-1,1]", "[NaN,-1,1]", 1), forest.KindValue)
	wantKind(t, strings.Replace(text, "[0.5,-1,1]", "[0.5,NaN,1]", 1), forest.KindValue)
	wantKind(t, strings.Replace(text, "[0.5,-1,1]", "[0.5,nan,1]", 1), forest.KindField)
}

func TestXGBoostMissing(t *testing.T) {
	for _, sides := range []any{[]int{1, 0, 0}, []bool{true, false, false}} { // booleans before 1.6
		f := mustRead(t, xgboostModel(t, nil, xgboostStump(fields{"default_left": sides})))
		if got := raw(t, f, math.NaN(), 0)[0]; got != -1 {
			t.Errorf("%v: missing gives %v", sides, got)
		}
	}
	if got := raw(t, mustRead(t, xgboostDocument(t, nil)), math.NaN(), 0)[0]; got != 1 {
		t.Errorf("missing gives %v", got)
	}
}

// setTree sends the given categories to the right.
func setTree(changes fields, categories ...int) fields {
	t := xgboostStump(fields{
		"split_type": []int{1, 0, 0}, "categories": categories, "categories_nodes": []int{0},
		"categories_segments": []int{0}, "categories_sizes": []int{len(categories)},
	})
	for k, v := range changes {
		t[k] = v
	}
	return t
}

func TestXGBoostCategories(t *testing.T) {
	for _, missingLeft := range []int{0, 1} {
		sides := fields{"default_left": []int{missingLeft, 0, 0}}
		f := mustRead(t, xgboostModel(t, nil, setTree(sides, 0, 2, 33)))
		for _, x := range []float64{0, 2, 33, 2.9} {
			if got := raw(t, f, x, 0)[0]; got != 1 {
				t.Errorf("category %v gives %v", x, got)
			}
		}
		for _, x := range []float64{1, 34, 64, 1000, -1, -0.5, 1 << 24, 3e9, math.Inf(1), math.Inf(-1)} {
			if got := raw(t, f, x, 0)[0]; got != -1 {
				t.Errorf("category %v gives %v", x, got)
			}
		}
		if got, want := raw(t, f, math.NaN(), 0)[0], 1-2*float64(missingLeft); got != want {
			t.Errorf("missing gives %v, want %v", got, want)
		}
		if _, err := forest.NewLeaves(f); leavesRefused(err) != (missingLeft == 0) {
			t.Errorf("default left %d: leaves says %v", missingLeft, err)
		}
	}
	mixed := xgboostModel(t, nil, setTree(fields{"default_left": []int{1, 0, 0}}, 1), xgboostStump(nil))
	if _, err := forest.NewLeaves(mustRead(t, mixed)); !leavesRefused(err) {
		t.Errorf("a feature split both ways: leaves says %v", err)
	}
}

func TestXGBoostBaseScore(t *testing.T) {
	logit := func(p float32) float64 { return float64(-float32(math.Log(float64(1/p - 1)))) }
	log := func(v float32) float64 { return float64(float32(math.Log(float64(v)))) }
	f32 := func(v float64) float64 { return float64(float32(v)) }
	for _, tt := range []struct {
		objective, base, classes string
		want                     []float64
	}{
		{"binary:logistic", "5E-1", "0", []float64{0}},
		{"binary:logistic", "[2.5E-1]", "0", []float64{logit(0.25)}},
		{"reg:logistic", "(2.5E-1)", "1", []float64{logit(0.25)}},
		{"binary:logistic", "0E0", "0", []float64{logit(1e-6)}}, // clipped
		{"binary:logistic", "1", "0", []float64{logit(1 - 1e-6)}},
		{"binary:logitraw", "2.5E-1", "0", []float64{0.25}},
		{"binary:hinge", "2.5E-1", "0", []float64{0.25}},
		{"count:poisson", "2E0", "0", []float64{log(2)}},
		{"reg:gamma", "2E0", "0", []float64{log(2)}},
		{"reg:tweedie", "2E0", "0", []float64{log(2)}},
		{"survival:cox", "2E0", "0", []float64{log(2)}},
		{"survival:aft", "2E0", "0", []float64{log(2)}},
		{"reg:squarederror", " 1.91E-1 ", "0", []float64{f32(0.191)}},
		{"rank:ndcg", "0.5", "0", []float64{0.5}},
		{"multi:softprob", "5E-1", "3", []float64{0.5, 0.5, 0.5}},
		{"multi:softmax", "[5E-1]", "3", []float64{0.5, 0.5, 0.5}},
		{"multi:softprob", "[1E-1,2E-1, 7E-1]", "3", []float64{f32(0.1), f32(0.2), f32(0.7)}},
	} {
		f := mustRead(t, xgboostDocument(t, objectiveOf(tt.objective, tt.base, tt.classes)))
		if !reflect.DeepEqual(f.Base, tt.want) {
			t.Errorf("%s %s: base %v, want %v", tt.objective, tt.base, f.Base, tt.want)
		}
	}
	for _, tt := range []struct {
		objective, base, classes string
		kind                     forest.Kind
	}{
		{"binary:logistic", "1.5", "0", forest.KindValue},
		{"binary:logistic", "NaN", "0", forest.KindValue},
		{"count:poisson", "0", "0", forest.KindValue},
		{"count:poisson", "-1", "0", forest.KindValue},
		{"reg:squarederror", "Infinity", "0", forest.KindValue},
		{"reg:squarederror", "half", "0", forest.KindField},
		{"reg:squarederror", "", "0", forest.KindField},
		{"reg:squarederror", "[1,2]", "0", forest.KindShape},
		{"multi:softprob", "[1,2]", "3", forest.KindShape},
	} {
		wantKind(t, xgboostDocument(t, objectiveOf(tt.objective, tt.base, tt.classes)), tt.kind)
	}
}

// TestXGBoostOldLogitRaw: before 1.3 base_score was a probability there too.
func TestXGBoostOldLogitRaw(t *testing.T) {
	logit := float64(-float32(math.Log(float64(1/float32(0.25) - 1))))
	for version, want := range map[[3]int]float64{{1, 2, 1}: logit, {1, 3, 0}: 0.25, {1, 7, 4}: 0.25, {2, 0, 0}: 0.25} {
		f := mustRead(t, xgboostDocument(t, func(doc, learner, model fields) {
			objectiveOf("binary:logitraw", "2.5E-1", "0")(doc, learner, model)
			doc["version"] = version
		}))
		if f.Base[0] != want {
			t.Errorf("version %v: base %v, want %v", version, f.Base, want)
		}
	}
}

func TestXGBoostLinks(t *testing.T) {
	leaves := func(v float64) fields { return xgboostStump(fields{"split_conditions": []float64{0.5, v, v}}) }
	for _, tt := range []struct {
		objective string
		leaf      float64
		want      float64
	}{
		{"binary:logistic", 2, 1 / (1 + math.Exp(-2))},
		{"binary:logistic", 1000, 1},
		{"binary:logistic", -1000, 0},
		{"reg:logistic", -2, 1 / (1 + math.Exp(2))},
		{"binary:logitraw", 2, 2},
		{"binary:hinge", 0.1, 1},
		{"binary:hinge", 0, 0},
		{"binary:hinge", -0.1, 0},
		{"count:poisson", 2, math.Exp(2)},
		{"reg:squarederror", -3, -3},
		{"reg:absoluteerror", -3, -3},
		{"reg:expectileerror", -3, -3},
	} {
		base := "0"
		switch tt.objective {
		case "binary:logistic", "reg:logistic":
			base = "0.5"
		case "count:poisson":
			base = "1"
		}
		f := mustRead(t, xgboostModel(t, objectiveOf(tt.objective, base, "0"), leaves(tt.leaf)))
		got := probability(t, f, 0, 0)
		near(t, got, []float64{tt.want}, 1e-6)
		if got[0] != float64(float32(got[0])) {
			t.Errorf("%s: %v is no float32", tt.objective, got[0])
		}
	}
	soft := mustRead(t, xgboostModel(t, func(doc, learner, model fields) {
		objectiveOf("multi:softprob", "0", "3")(doc, learner, model)
		model["tree_info"] = []int{2, 0, 2} // out of pattern
	}, leaves(800), leaves(800), leaves(-1600)))
	if got := raw(t, soft, 0, 0); !reflect.DeepEqual(got, []float64{800, 0, -800}) {
		t.Errorf("classes %v", got)
	}
	near(t, probability(t, soft, 0, 0), []float64{1, 0, 0}, 1e-6)
}

// TestXGBoostSum: float32, from the base margin, in the order of the trees; another order gives another sum.
func TestXGBoostSum(t *testing.T) {
	leaves := func(v float64) fields { return xgboostStump(fields{"split_conditions": []float64{0.5, v, v}}) }
	based := objectiveOf("reg:squarederror", "16777216", "0")
	f := mustRead(t, xgboostModel(t, based, leaves(1), leaves(1), leaves(-16777216)))
	if got := exactRaw(t, f, 0, 0)[0]; got != 0 {
		t.Errorf("base first: %v", got)
	}
	f = mustRead(t, xgboostModel(t, objectiveOf("reg:squarederror", "0", "0"), leaves(1), leaves(1), leaves(16777216)))
	if got := exactRaw(t, f, 0, 0)[0]; got != 16777218 {
		t.Errorf("ones first: %v", got)
	}
}

// TestXGBoostDART finds the weights where 3.4 and where older versions keep them.
func TestXGBoostDART(t *testing.T) {
	weights := []float64{0.1, 0.7}
	inModel := func(_, _, model fields) { model["weight_drop"] = weights }
	beside := func(_, learner, model fields) {
		gbtree := fields{"model": model, "name": "gbtree"}
		learner["gradient_booster"] = fields{"name": "dart", "gbtree": gbtree, "weight_drop": weights}
	}
	third := func() fields { return xgboostStump(fields{"split_conditions": []float64{0.5, 0.3, 0.3}}) }
	product := func(w float32) float32 { return float32(float32(0.3) * w) }
	want := float64(product(0.1) + product(0.7))
	for _, edit := range []func(doc, learner, model fields){inModel, beside} {
		if got := raw(t, mustRead(t, xgboostModel(t, edit, third(), third())), 0, 0)[0]; got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
	wantKind(t, xgboostModel(t, inModel, third()), forest.KindShape)
	weights = []float64{1e39, 1}
	text := xgboostModel(t, inModel, third(), third())
	wantKind(t, text, forest.KindValue)
}

func TestXGBoostRounds(t *testing.T) {
	rounds := func(indptr any, parallel string) func(doc, learner, model fields) {
		return func(_, learner, model fields) {
			if indptr != nil {
				model["iteration_indptr"] = indptr
			}
			model["gbtree_model_param"].(fields)["num_parallel_tree"] = parallel
			learner["attributes"] = fields{"best_iteration": "0", "best_score": "0.1", "note": "a\"b"}
		}
	}
	trees := func() []fields {
		return []fields{xgboostStump(nil), xgboostStump(nil), xgboostStump(nil), xgboostStump(nil)}
	}
	for _, tt := range []struct {
		indptr   any
		parallel string
		want     []int32
	}{
		{nil, "1", []int32{0, 1, 2, 3, 4}},
		{nil, "2", []int32{0, 2, 4}},
		{[]int{0, 2, 4}, "2", []int32{0, 2, 4}},
		{[]int{0, 3, 4}, "1", []int32{0, 3, 4}},
	} {
		f := mustRead(t, xgboostModel(t, rounds(tt.indptr, tt.parallel), trees()...))
		if !reflect.DeepEqual(f.Rounds, tt.want) || f.Iterations != len(tt.want)-1 || f.BestIteration != 1 {
			t.Errorf("%+v: rounds %v, best %d", tt, f.Rounds, f.BestIteration)
		}
		if got := raw(t, f, 1, 0)[0]; got != 4 {
			t.Errorf("all trees give %v", got)
		}
		best, err := f.Prefix(f.BestIteration)
		if err != nil {
			t.Fatal(err)
		}
		if got := raw(t, best, 1, 0)[0]; got != float64(tt.want[1]) {
			t.Errorf("%+v: the best round gives %v", tt, got)
		}
		if _, err := f.Prefix(f.Iterations + 1); err == nil {
			t.Error("more rounds than there are")
		}
	}
	for _, indptr := range [][]int{{}, {0}, {1, 4}, {0, 5}, {0, 3, 2, 4}} {
		wantKind(t, xgboostModel(t, rounds(indptr, "1"), trees()...), forest.KindShape)
	}
	for _, parallel := range []string{"3", "0", "-1", "99999999999"} {
		wantKind(t, xgboostModel(t, rounds(nil, parallel), trees()...), forest.KindShape)
	}
}

// TestXGBoostDeletedNodes: pruning leaves holes, and children may lie anywhere.
func TestXGBoostDeletedNodes(t *testing.T) {
	const mark = 2147483647
	old := xgboostStump(fields{ // 1.0 does not count them
		"left_children": []int{2, -1, -1, -1}, "right_children": []int{3, -1, -1, -1},
		"split_indices": []int{0, mark, 0, 0}, "split_conditions": []float64{0.5, 9, -1, 1},
		"default_left": []int{0, 0, 0, 0}, "sum_hessian": []int{9, 0, 5, 4}, "split_type": []int{0, 0, 0, 0},
		"tree_param": fields{"num_nodes": "4"},
	})
	if got := raw(t, mustRead(t, xgboostModel(t, nil, old)), 1, 0)[0]; got != 1 {
		t.Errorf("without a count: %v", got)
	}
	f := mustRead(t, xgboostModel(t, nil, xgboostStump(fields{
		"left_children": []int{4, -1, -1, -1, -1}, "right_children": []int{2, -1, -1, -1, -1},
		"split_indices": []int{0, 0, 0, mark, 0}, "split_conditions": []float64{0.5, 9, 1, 9, -1},
		"default_left": []int{0, 0, 0, 0, 0}, "sum_hessian": []int{9, 0, 4, 0, 5}, "split_type": []int{0, 0, 0, 0, 0},
		"tree_param": fields{"num_deleted": "2", "num_nodes": "5"},
	})))
	if got := []float64{raw(t, f, 0, 0)[0], raw(t, f, 1, 0)[0]}; !reflect.DeepEqual(got, []float64{-1, 1}) {
		t.Errorf("scores %v", got)
	}
	if tree := f.Trees[0]; !reflect.DeepEqual(tree.LeafNumbers, []int32{2, 4}) || tree.Leaves[1].Cover != 5 {
		t.Errorf("%+v", tree)
	}
}

func TestXGBoostCats(t *testing.T) {
	text := xgboostDocument(t, func(_, learner, model fields) {
		learner["feature_names"] = []string{"plan", "n"}
		learner["feature_types"] = []string{"c", "float"}
		model["cats"] = fields{
			"enc": []any{
				fields{"offsets": []int{0, 3, 4, 4}, "values": []int{97, -61, -92, 98}},
				fields{"offsets": []int{}, "values": []int{}},
			},
			"feature_segments": []int{0, 3, 3}, "sorted_idx": []int{0, 1, 2},
		}
	})
	f := mustRead(t, text)
	want := []forest.Feature{
		{Name: "plan", Categories: []string{"aä", "b", ""}, Categorical: true}, {Name: "n"},
	}
	if !reflect.DeepEqual(f.Features, want) {
		t.Errorf("%+v", f.Features)
	}
	for _, tt := range []struct {
		kind   int
		values []int64
		want   []string
	}{
		{15, []int64{10, math.MinInt64}, []string{"10", "-9223372036854775808"}},
		{10, []int64{200, 1}, []string{"200", "1"}},
		{12, []int64{-1, 1}, []string{"65535", "1"}},
		{14, []int64{-2, 1}, []string{"4294967294", "1"}},
		{16, []int64{-1, 1}, []string{"18446744073709551615", "1"}},
	} {
		f := mustRead(t, xgboostDocument(t, func(_, _, model fields) {
			empty := fields{"offsets": []int{}, "values": []int{}}
			model["cats"] = fields{"enc": []any{empty, fields{"type": tt.kind, "values": tt.values}}}
		}))
		if g := f.Features[1]; !reflect.DeepEqual(g.Categories, tt.want) || g.CategoryKind != forest.CategoryInteger {
			t.Errorf("type %d: %+v", tt.kind, g)
		}
	}
	for name, tt := range map[string]struct {
		enc  any
		kind forest.Kind
	}{
		"one of two": {[]any{fields{"offsets": []int{}, "values": []int{}}}, forest.KindFeature},
		"floats":     {[]any{fields{"type": 7, "values": []int{1}}}, forest.KindUnsupported},
		"type":       {[]any{fields{"type": 99, "values": []int{1}}}, forest.KindCategory},
		"descending": {[]any{fields{"offsets": []int{0, 2, 1}, "values": []int{97, 98}}}, forest.KindCategory},
		"too far":    {[]any{fields{"offsets": []int{0, 3}, "values": []int{97, 98}}}, forest.KindCategory},
		"negative":   {[]any{fields{"offsets": []int{-1, 1}, "values": []int{97, 98}}}, forest.KindCategory},
		"no object":  {[]int{1}, forest.KindField},
	} {
		t.Run(name, func(t *testing.T) {
			wantKind(t, xgboostDocument(t, func(_, _, model fields) { model["cats"] = fields{"enc": tt.enc} }), tt.kind)
		})
	}
}
