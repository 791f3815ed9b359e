package forest_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

func TestLightGBMThreshold(t *testing.T) {
	f := mustRead(t, lightgbmText(nil, stump(nil)))
	for x, want := range map[float64]float64{
		0.5: -1, down(0.5): -1, up(0.5): 1, math.Inf(1): 1, math.Inf(-1): -1, 0.1: -1, 16777217: 1,
	} {
		if got := raw(t, f, x, 0)[0]; got != want {
			t.Errorf("%v gives %v, want %v", x, got, want)
		}
	}
}

// TestLightGBMMissing walks missing types None, Zero and NaN, each with both default sides, over what may be missing.
func TestLightGBMMissing(t *testing.T) {
	const edge = float64(float32(1e-35))
	nan, tiny := math.NaN(), 1e-36
	for _, tt := range []struct {
		decision  int
		threshold float64
		left      []float64
		right     []float64
	}{
		{0, 0.5, []float64{nan, 0, -1}, []float64{1, math.Inf(1)}},        // None: NaN is 0
		{2, -0.5, []float64{-1}, []float64{nan, 0, 1}},                    // None ignores its default side
		{4, 0.5, []float64{-1, 0.25}, []float64{nan, 0, tiny, edge, 1}},   // Zero, right
		{6, -0.5, []float64{nan, 0, -tiny, -edge, -1}, []float64{1e-34}},  // Zero, left
		{4, 0.5, []float64{-2 * edge, 2 * edge}, []float64{-edge, edge}},  // both ends are inside
		{8, 0.5, []float64{0, -tiny, edge}, []float64{nan, 1}},            // NaN, right
		{10, -0.5, []float64{nan, -1, math.Inf(-1)}, []float64{0, -edge}}, // NaN, left
		{2, -edge, []float64{-1e-34}, []float64{-edge, 0, tiny, nan}},     // what is about 0 becomes 0
		{2, edge / 2, []float64{0, edge, nan}, []float64{1e-34}},
	} {
		f := mustRead(t, lightgbmText(nil, stump(fields{"decision_type": tt.decision, "threshold": tt.threshold})))
		for want, values := range map[float64][]float64{-1: tt.left, 1: tt.right} {
			for _, x := range values {
				if got := raw(t, f, x, 0)[0]; got != want {
					t.Errorf("decision %d threshold %v: %v gives %v, want %v", tt.decision, tt.threshold, x, got, want)
				}
			}
		}
	}
}

func TestLightGBMCategories(t *testing.T) {
	// Categories 0, 2 and 33 go left.
	tree := stump(fields{
		"num_cat": 1, "threshold": 0, "decision_type": 1, "cat_boundaries": "0 2", "cat_threshold": "5 2",
	})
	f := mustRead(t, lightgbmText(nil, tree))
	for _, x := range []float64{0, 2, 33, 2.9, -0.5, math.Copysign(0, -1)} {
		if got := raw(t, f, x, 0)[0]; got != -1 {
			t.Errorf("category %v gives %v", x, got)
		}
	}
	for _, x := range []float64{1, 3, 32, 34, 64, -1, -3, 1e10, math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := raw(t, f, x, 0)[0]; got != 1 {
			t.Errorf("category %v gives %v", x, got)
		}
	}
}

func TestLightGBMLinks(t *testing.T) {
	const x = 2.0 // every leaf
	with := func(objective string) fields {
		return fields{"objective": objective, "num_class": 3, "num_tree_per_iteration": 3}
	}
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	one := func(v string) fields { return stump(fields{"leaf_value": v + " " + v}) }
	for _, tt := range []struct {
		header fields
		leaves []string
		want   []float64
	}{
		{fields{"objective": "binary sigmoid:1"}, []string{"2"}, []float64{sigmoid(x)}},
		{fields{"objective": "binary sigmoid:2.5"}, []string{"2"}, []float64{sigmoid(2.5 * x)}},
		{fields{"objective": "cross_entropy"}, []string{"2"}, []float64{sigmoid(x)}},
		{fields{"objective": "cross_entropy_lambda"}, []string{"2"}, []float64{math.Log1p(math.Exp(x))}},
		{fields{"objective": "poisson"}, []string{"2"}, []float64{math.Exp(x)}},
		{fields{"objective": "regression sqrt"}, []string{"-3"}, []float64{-9}},
		{fields{"objective": "quantile"}, []string{"2"}, []float64{2}},
		{fields{"objective": "mape sqrt"}, []string{"-3"}, []float64{-9}},
		{fields{"objective": "mae"}, []string{"2"}, []float64{2}},
		{fields{"objective": "rmse"}, []string{"2"}, []float64{2}},
		{fields{"objective": "xendcg"}, []string{"2"}, []float64{2}},
		{fields{"objective": "xentropy"}, []string{"2"}, []float64{sigmoid(x)}},
		{fields{"objective": "xentlambda"}, []string{"2"}, []float64{math.Log1p(math.Exp(x))}},
		{fields{"objective": "custom"}, []string{"2"}, []float64{2}},
		{fields{"objective": nil}, []string{"2"}, []float64{2}}, // a custom objective stays raw
		{with("multiclass num_class:3"), []string{"800", "-800", "800"}, []float64{0.5, 0, 0.5}},
		{with("multiclassova num_class:3 sigmoid:2"), []string{"0.5", "-1", "0"}, []float64{sigmoid(1), sigmoid(-2), 0.5}},
		{fields{"objective": "binary sigmoid:1"}, []string{"1000"}, []float64{1}},
		{fields{"objective": "binary sigmoid:1"}, []string{"-1000"}, []float64{0}},
	} {
		var trees []fields
		for _, v := range tt.leaves {
			trees = append(trees, one(v))
		}
		near(t, probability(t, mustRead(t, lightgbmText(tt.header, trees...)), 0, 0), tt.want, 1e-15)
	}
}

// TestLightGBMRandomForest: the raw score is the average, LightGBM's own is the sum, the link takes the average.
func TestLightGBMRandomForest(t *testing.T) {
	header := fields{"average_output": true, "objective": "binary sigmoid:1"}
	f := mustRead(t, lightgbmText(header, stump(fields{"leaf_value": "3 1"}), stump(nil), stump(nil)))
	if got := raw(t, f, 0, 0)[0]; got != 1.0/3 {
		t.Errorf("average %v", got)
	}
	sum := []float64{0}
	forest.NewWalker(f).Sum(sum, columns([][]float64{{0, 0}}))
	if sum[0] != 1 {
		t.Errorf("sum %v", sum[0])
	}
	near(t, probability(t, f, 0, 0), []float64{1 / (1 + math.Exp(-1.0/3))}, 1e-15)
}

func TestLightGBMLinearLeaves(t *testing.T) {
	tree := stump(fields{
		"is_linear": 1, "num_leaves": 3, "split_feature": "0 1", "threshold": "0.5 0.5", "decision_type": "2 2",
		"left_child": "-1 -2", "right_child": "1 -3", "leaf_value": "7 8 9", "leaf_count": "1 1 1",
		"internal_count": "3 2", "leaf_const": "1 2 3", "num_features": "2 0 1",
		// Two blanks follow every leaf's list, so the empty one shows as two more.
		"leaf_features": "0 1    1  ", "leaf_coeff": "10 100    -1  ",
	})
	f := mustRead(t, lightgbmText(nil, tree))
	nan := math.NaN()
	for _, tt := range []struct{ a, b, want float64 }{
		{0.5, 2, 1 + 5 + 200},
		{0.5, nan, 7},          // an input of the model is missing: the leaf's value
		{nan, 2, 7},            // to the left as 0, then missing
		{1, 0, 2},              // no inputs: the constant
		{1, 3, 0},              // a constant and a coefficient cancel
		{0.25, 1e-36, 1 + 2.5}, // about 0 is 0
	} {
		if got := raw(t, f, tt.a, tt.b)[0]; got != tt.want {
			t.Errorf("%v, %v gives %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
	dust := mustRead(t, lightgbmText(nil, stump(fields{
		"is_linear": 1, "leaf_const": "0 0", "num_features": "1 1", "leaf_features": "0  0  ", "leaf_coeff": "1  1  ",
	})))
	if got := raw(t, dust, 1e-36, 0)[0]; got != 0 {
		t.Errorf("about 0 gives %v", got)
	}
	if _, err := forest.NewLeaves(f); !leavesRefused(err) {
		t.Errorf("leaves takes linear trees: %v", err)
	}
}

func TestLightGBMSmallest(t *testing.T) {
	oneLeaf := stump(fields{
		"num_leaves": 1, "split_feature": "", "threshold": "", "decision_type": "", "left_child": "", "right_child": "",
		"leaf_value": "0.75", "leaf_count": "", "internal_count": "", "is_linear": 1,
	})
	if got := raw(t, mustRead(t, lightgbmText(nil, oneLeaf, stump(nil))), 1, 0)[0]; got != 1.75 {
		t.Errorf("a tree of one leaf gives %v", got)
	}
	f := mustRead(t, lightgbmText(fields{"tree_sizes": ""}))
	if got := raw(t, f, 1, 0)[0]; got != 0 {
		t.Errorf("no trees give %v", got)
	}
	one := fields{"max_feature_idx": 0, "feature_names": "only", "feature_infos": "[0:1]"}
	if got := raw(t, mustRead(t, lightgbmText(one, stump(nil))), 1)[0]; got != 1 {
		t.Errorf("one feature gives %v", got)
	}
}

func TestLightGBMText(t *testing.T) {
	text := lightgbmText(fields{"feature_names": "a=b größe"}, stump(nil))
	for name, text := range map[string]string{
		"as it is":         text,
		"CRLF":             strings.ReplaceAll(text, "\n", "\r\n"),
		"no final newline": strings.TrimRight(text, "\n"),
		"unknown keys":     strings.Replace(text, "num_cat=0", "num_cat=0\nsomething_new=1 2 3", 1),
		"v2":               strings.Replace(text, "version=v4", "version=v2", 1),
		"v3":               strings.Replace(text, "version=v4", "version=v3", 1),
	} {
		f, err := forest.Read(name, []byte(text), forest.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Features[0].Name != "a=b" || f.Features[1].Name != "größe" {
			t.Errorf("%s: names %+v", name, f.Features)
		}
		if raw(t, f, 1, 0)[0] != 1 {
			t.Errorf("%s: wrong score", name)
		}
	}
}

func TestLightGBMPandasCategories(t *testing.T) {
	header := fields{
		"max_feature_idx": 3, "feature_names": "a b c d", "feature_infos": "0:1:2 [0:1] 1:0 0:1",
	}
	text := lightgbmText(header, stump(nil))
	read := func(line string) *forest.Forest { return mustRead(t, text+"\npandas_categorical:"+line+"\n") }

	f := read(`[["x \"y\"", "ü\u00e4"], [10, -3], [false, true]]`)
	want := []forest.Feature{
		{Name: "a", Categories: []string{`x "y"`, "üä"}, Categorical: true},
		{Name: "b"},
		{Name: "c", Categories: []string{"10", "-3"}, CategoryKind: forest.CategoryInteger, Categorical: true},
		{Name: "d", Categories: []string{"False", "True"}, CategoryKind: forest.CategoryBool, Categorical: true},
	}
	if !reflect.DeepEqual(f.Features, want) {
		t.Errorf("%+v", f.Features)
	}
	for _, tt := range []struct {
		feature int
		text    string
		code    int
		ok      bool
	}{
		{0, "üä", 1, true},
		{0, "never seen", 0, false},
		{2, "-3", 1, true},
		{2, "10.0", 0, true},
		{2, "ten", 0, false},
		{2, "11", 0, false},
		{3, "True", 1, true},
		{3, "FALSE", 0, true},
		{3, "yes", 0, false},
		{1, "0.5", 0, false},
	} {
		if code, ok := f.Features[tt.feature].Code(tt.text); code != tt.code || ok != tt.ok {
			t.Errorf("feature %d %q: code %d, %v", tt.feature, tt.text, code, ok)
		}
	}

	f = read(`[[1.5, 2.0], [1, 2.5], ["1", 2]]`)
	for i, kind := range map[int]forest.CategoryKind{
		0: forest.CategoryFloat, 2: forest.CategoryFloat, 3: forest.CategoryText,
	} {
		if f.Features[i].CategoryKind != kind {
			t.Errorf("feature %d: kind %d", i, f.Features[i].CategoryKind)
		}
	}
	if code, ok := f.Features[0].Code("2"); code != 1 || !ok {
		t.Errorf("2 for 2.0: code %d, %v", code, ok)
	}
	if f = read("null"); f.Features[0].Categories != nil || len(f.Warnings) != 0 {
		t.Errorf("null: %+v", f)
	}
	if f = read(`[["a"]]`); f.Features[0].Categories != nil || len(f.Warnings) != 1 {
		t.Errorf("one list for three columns: %+v", f)
	}
	for _, line := range []string{`[["a"]`, `[["a"]] x`, `nul`, `{}`, ``, `[1]`, `[["a", null]]`, `[["\q"]]`} {
		if e, err := forest.Read("m", []byte(text+"\npandas_categorical:"+line), forest.Limits{}); err == nil {
			t.Errorf("%q is accepted: %v", line, e.Features)
		}
	}
	// The parameter names the columns even where feature_infos cannot tell.
	named := strings.Replace(text, "[boosting: gbdt]", "[categorical_feature: 1]", 1)
	if f = mustRead(t, named+"\npandas_categorical:[[\"a\"]]"); f.Features[1].Categories == nil {
		t.Errorf("by parameter: %+v", f.Features)
	}
}

func TestLightGBMRefuses(t *testing.T) {
	good := lightgbmText(nil, stump(nil))
	three := fields{"num_class": 3, "num_tree_per_iteration": 3, "objective": nil}
	inner := fields{
		"num_leaves": 3, "split_feature": "0 1", "threshold": "0.5 0.5", "decision_type": "2 2", "leaf_value": "1 2 3",
		"leaf_count": "1 1 1", "internal_count": "3 2", "left_child": "1 -1", "right_child": "-2 -3",
	}
	shaped := func(left, right string) fields {
		t := stump(inner)
		t["left_child"], t["right_child"] = left, right
		return t
	}
	sets := func(changes fields) fields {
		t := stump(fields{"num_cat": 1, "threshold": 0, "decision_type": 1, "cat_boundaries": "0 1", "cat_threshold": "1"})
		for k, v := range changes {
			t[k] = v
		}
		return t
	}
	linear := func(changes fields) fields {
		t := stump(fields{
			"is_linear": 1, "leaf_const": "1 2", "num_features": "1 1", "leaf_features": "0  1  ", "leaf_coeff": "1  2  ",
		})
		for k, v := range changes {
			t[k] = v
		}
		return t
	}
	for name, tt := range map[string]struct {
		kind forest.Kind
		text string
	}{
		"version 5":            {forest.KindVersion, lightgbmText(fields{"version": "v5"}, stump(nil))},
		"version empty":        {forest.KindVersion, lightgbmText(fields{"version": ""}, stump(nil))},
		"no classes":           {forest.KindField, lightgbmText(fields{"num_class": nil}, stump(nil))},
		"classes disagree":     {forest.KindShape, lightgbmText(fields{"num_class": 2}, stump(nil))},
		"classes per round":    {forest.KindField, lightgbmText(fields{"num_tree_per_iteration": "x"}, stump(nil))},
		"trees per class":      {forest.KindShape, lightgbmText(three, stump(nil))},
		"too many classes":     {forest.KindLimits, lightgbmText(fields{"num_class": 5000, "num_tree_per_iteration": 5000})},
		"objective":            {forest.KindUnsupported, lightgbmText(fields{"objective": "binry"}, stump(nil))},
		"alias in capitals":    {forest.KindUnsupported, lightgbmText(fields{"objective": "MAE"}, stump(nil))},
		"alias with an option": {forest.KindUnsupported, lightgbmText(fields{"objective": "mse sqrt"}, stump(nil))},
		"roots of huber":       {forest.KindUnsupported, lightgbmText(fields{"objective": "huber sqrt"}, stump(nil))},
		"objective option":     {forest.KindUnsupported, lightgbmText(fields{"objective": "binary square:1"}, stump(nil))},
		"objective classes":    {forest.KindShape, lightgbmText(fields{"objective": "multiclass num_class:3"}, stump(nil))},
		"softmax of one":       {forest.KindShape, lightgbmText(fields{"objective": "multiclass"}, stump(nil))},
		"sigmoid 0":            {forest.KindValue, lightgbmText(fields{"objective": "binary sigmoid:0"}, stump(nil))},
		"sigmoid NaN":          {forest.KindValue, lightgbmText(fields{"objective": "binary sigmoid:nan"}, stump(nil))},
		"no features":          {forest.KindField, lightgbmText(fields{"max_feature_idx": nil}, stump(nil))},
		"too many features":    {forest.KindLimits, lightgbmText(fields{"max_feature_idx": 2000000000}, stump(nil))},
		"no names":             {forest.KindField, lightgbmText(fields{"feature_names": nil}, stump(nil))},
		"names too few":        {forest.KindFeature, lightgbmText(fields{"feature_names": "a"}, stump(nil))},
		"names too long":       {forest.KindFeature, lightgbmText(fields{"feature_names": "abc"}, stump(nil))},
		"names too many":       {forest.KindFeature, lightgbmText(fields{"feature_names": "a b c"}, stump(nil))},
		"names twice":          {forest.KindFeature, lightgbmText(fields{"feature_names": "a a"}, stump(nil))},
		"infos":                {forest.KindField, lightgbmText(fields{"feature_infos": "none"}, stump(nil))},
		"sizes too few":        {forest.KindTruncated, lightgbmText(fields{"tree_sizes": ""}, stump(nil))},
		"sizes wrong":          {forest.KindTruncated, lightgbmText(fields{"tree_sizes": "17"}, stump(nil))},
		"sizes no number":      {forest.KindField, lightgbmText(fields{"tree_sizes": "x"}, stump(nil))},
		"sizes too many":       {forest.KindTruncated, lightgbmText(fields{"tree_sizes": "10 20"})},
		"tree numbers":         {forest.KindTruncated, strings.Replace(good, "Tree=0", "Tree=1", 1)},
		"field twice":          {forest.KindField, lightgbmText(nil, stump(fields{"num_cat": "0\nnum_cat=0"}))},
		"text behind":          {forest.KindTruncated, lightgbmText(nil, stump(nil)) + "tree\n"},
		"no leaves":            {forest.KindField, lightgbmText(nil, stump(fields{"num_leaves": nil}))},
		"leaves 0":             {forest.KindField, lightgbmText(nil, stump(fields{"num_leaves": 0}))},
		"leaves too many":      {forest.KindField, lightgbmText(nil, stump(fields{"num_leaves": 2000000000}))},
		"leaf values too few":  {forest.KindField, lightgbmText(nil, stump(fields{"leaf_value": "-1.5"}))},
		"leaf values too many": {forest.KindField, lightgbmText(nil, stump(fields{"leaf_value": "1 2 3"}))},
		"leaf no number":       {forest.KindField, lightgbmText(nil, stump(fields{"leaf_value": "1 0x10"}))},
		"leaf NaN":             {forest.KindValue, lightgbmText(nil, stump(fields{"leaf_value": "1 nan"}))},
		"leaf infinite":        {forest.KindValue, lightgbmText(nil, stump(fields{"leaf_value": "1 1e999"}))},
		"leaf counts":          {forest.KindField, lightgbmText(nil, stump(fields{"leaf_count": "1"}))},
		"node counts":          {forest.KindField, lightgbmText(nil, stump(fields{"internal_count": ""}))},
		"no threshold":         {forest.KindField, lightgbmText(nil, stump(fields{"threshold": nil}))},
		"threshold NaN":        {forest.KindValue, lightgbmText(nil, stump(fields{"threshold": "nan"}))},
		"feature no integer":   {forest.KindField, lightgbmText(nil, stump(fields{"split_feature": "1e0"}))},
		"feature too large":    {forest.KindFeature, lightgbmText(nil, stump(fields{"split_feature": 2}))},
		"feature negative":     {forest.KindFeature, lightgbmText(nil, stump(fields{"split_feature": -1}))},
		"child huge":           {forest.KindField, lightgbmText(nil, stump(fields{"left_child": "99999999999"}))},
		"child out of range":   {forest.KindTree, lightgbmText(nil, stump(fields{"left_child": 1}))},
		"leaf out of range":    {forest.KindTree, lightgbmText(nil, stump(fields{"left_child": -3}))},
		"equal children":       {forest.KindTree, lightgbmText(nil, stump(fields{"left_child": -2}))},
		"cycle":                {forest.KindTree, lightgbmText(nil, shaped("1 0", "-2 -3"))},
		"root is a child":      {forest.KindTree, lightgbmText(nil, shaped("0 -1", "-2 -3"))},
		"missing type 3":       {forest.KindCategory, lightgbmText(nil, stump(fields{"decision_type": 12}))},
		"decision unknown":     {forest.KindCategory, lightgbmText(nil, stump(fields{"decision_type": 16}))},
		"set out of range":     {forest.KindCategory, lightgbmText(nil, sets(fields{"threshold": 1}))},
		"set fraction":         {forest.KindCategory, lightgbmText(nil, sets(fields{"threshold": 0.5}))},
		"set NaN":              {forest.KindCategory, lightgbmText(nil, sets(fields{"threshold": "nan"}))},
		"set empty":            {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_threshold": "0"}))},
		"no sets":              {forest.KindCategory, lightgbmText(nil, sets(fields{"num_cat": 0}))},
		"set counts":           {forest.KindField, lightgbmText(nil, sets(fields{"num_cat": "x"}))},
		"bounds missing":       {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_boundaries": nil}))},
		"bounds descend":       {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_boundaries": "0 0"}))},
		"bounds from 1":        {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_boundaries": "1 2"}))},
		"bounds huge":          {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_boundaries": "0 2000000000"}))},
		"bounds no number":     {forest.KindField, lightgbmText(nil, sets(fields{"cat_boundaries": "0 x"}))},
		"words negative":       {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_threshold": "-1"}))},
		"words wide":           {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_threshold": "4294967296"}))},
		"words missing":        {forest.KindCategory, lightgbmText(nil, sets(fields{"cat_threshold": nil}))},
		"linear flag":          {forest.KindField, lightgbmText(nil, linear(fields{"is_linear": 2}))},
		"linear constants":     {forest.KindField, lightgbmText(nil, linear(fields{"leaf_const": "1"}))},
		"linear counts":        {forest.KindField, lightgbmText(nil, linear(fields{"num_features": "1"}))},
		"linear negative":      {forest.KindField, lightgbmText(nil, linear(fields{"num_features": "1 -1"}))},
		"linear too many":      {forest.KindField, lightgbmText(nil, linear(fields{"num_features": "1 99"}))},
		"linear features":      {forest.KindField, lightgbmText(nil, linear(fields{"leaf_features": "0        "}))},
		"linear coefficients":  {forest.KindField, lightgbmText(nil, linear(fields{"leaf_coeff": "1"}))},
		"linear out of range":  {forest.KindFeature, lightgbmText(nil, linear(fields{"leaf_features": "0  9  "}))},
		"linear infinite":      {forest.KindValue, lightgbmText(nil, linear(fields{"leaf_coeff": "1  inf"}))},
		"linear constant NaN":  {forest.KindValue, lightgbmText(nil, linear(fields{"leaf_const": "1 nan"}))},
	} {
		t.Run(name, func(t *testing.T) {
			e := refusal(t, tt.text, tt.kind)
			if !strings.HasPrefix(e.Error(), `model "model"`) || strings.Contains(e.Error(), "\n") {
				t.Errorf("error reads %q", e.Error())
			}
		})
	}
}
