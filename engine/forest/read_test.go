package forest_test

import (
	"bytes"
	"compress/gzip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine/forest"
)

func TestReadNamesForeignFiles(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(lightgbmText(nil))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	oldXGBoost := make([]byte, 300)
	oldXGBoost[136] = byte(copy(oldXGBoost[144:], "binary:logistic"))
	notXGBoost := bytes.Clone(oldXGBoost)
	notXGBoost[143] = 1
	for _, tt := range []struct {
		file string
		kind forest.Kind
		says string
	}{
		{"", forest.KindFormat, "empty"},
		{zipped.String(), forest.KindFormat, "gzip"},
		{"PK\x03\x04rest", forest.KindFormat, "zip archive"},
		{"\x28\xb5\x2f\xfdrest", forest.KindFormat, "zstd"},
		{"binf\x00\x00\x00\x3f", forest.KindLegacy, "save it as .ubj"},
		{"\x00\x05_cls_\x00\x08features", forest.KindLegacy, "nativeBooster.saveModel"},
		{"\x00\x05_reg_\x00\x08features", forest.KindLegacy, "save it as .ubj"},
		{"CONFIG-offset:\x00", forest.KindLegacy, "save it as .ubj"},
		{string(oldXGBoost), forest.KindLegacy, "save it as .ubj"},
		{string(notXGBoost), forest.KindFormat, "not a LightGBM"},
		{"ccopy_reg\n_reconstructor\n", forest.KindFormat, "pickle"},
		{"\x80\x04\x95\x00", forest.KindFormat, "pickle"},
		{"x\x9c\x00", forest.KindFormat, "joblib"},
		{"\x08\x09\x12\x08skl2onnx", forest.KindFormat, "ONNX"},
		{"CBM1", forest.KindFormat, "CatBoost"},
		{"\n <!DOCTYPE html>\n<html>", forest.KindFormat, "web page"},
		{"<?xml version=\"1.0\"?><PMML version=\"4.4\">", forest.KindFormat, "PMML"},
		{"version https://git-lfs.github.com/spec/v1\n", forest.KindFormat, "git lfs pull"},
		{"booster[0]:\n0:[f0<1] yes=1", forest.KindFormat, "text dump"},
		{"[{\"nodeid\": 0}]", forest.KindFormat, "dump_model"},
		{"\xef\xbb\xbftree\nversion=v4\n", forest.KindFormat, "byte order mark"},
		{"version=v4\nTree=0\nnum_leaves=3\n", forest.KindFormat, "first line"},
		{"tree", forest.KindFormat, "first line"},
		{"id,age\n1,2\n", forest.KindFormat, "not a LightGBM"},
		{"\x00\x01\x02", forest.KindFormat, "not a LightGBM"},
		{`{"name":"tree","version":"v4","tree_info":[]}`, forest.KindFormat, "LightGBM's dump_model"},
		{`{}`, forest.KindFormat, "learner"},
	} {
		e := refusal(t, tt.file, tt.kind)
		if !strings.Contains(e.Error(), tt.says) {
			t.Errorf("%q: %q does not say %q", tt.file[:min(len(tt.file), 20)], e.Error(), tt.says)
		}
	}
}

func TestReadLimits(t *testing.T) {
	deep := lightgbmText(nil, stump(fields{
		"num_leaves": 4, "split_feature": "0 1 0", "threshold": "1 2 3", "decision_type": "2 2 2",
		"left_child": "1 2 -1", "right_child": "-2 -3 -4", "leaf_value": "1 2 3 4", "leaf_count": "1 1 1 1",
		"internal_count": "4 3 2",
	}), stump(nil))
	xgboost := xgboostModel(t, nil, xgboostStump(nil), setTree(nil, 40))
	named := strings.Replace(xgboost, `"feature_names":[]`, `"feature_names":["a","b"]`, 1)
	for name, tt := range map[string]struct {
		text   string
		limits forest.Limits
	}{
		"bytes":                 {deep, forest.Limits{FileBytes: len(deep) - 1}},
		"trees":                 {deep, forest.Limits{Trees: 1}},
		"nodes":                 {deep, forest.Limits{Nodes: 9}},
		"depth":                 {deep, forest.Limits{Depth: 2}},
		"features":              {deep, forest.Limits{Features: 1}},
		"time":                  {deep, forest.Limits{LoadTime: time.Nanosecond}},
		"xgboost trees":         {xgboost, forest.Limits{Trees: 1}},
		"xgboost nodes":         {xgboost, forest.Limits{Nodes: 5}},
		"xgboost features":      {xgboost, forest.Limits{Features: 1}},
		"xgboost feature names": {named, forest.Limits{Features: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := forest.Read("m", []byte(tt.text), tt.limits)
			if !hasKind(err, forest.KindLimits) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := forest.Read("m", []byte(xgboost), forest.Limits{Categories: 40}); !hasKind(err, forest.KindCategory) {
		t.Errorf("categories: %v", err)
	}
	for _, text := range []string{deep, xgboost} {
		if _, err := forest.Read("m", []byte(text), forest.Limits{Trees: 2, Nodes: 10, Depth: 3, Features: 2}); err != nil {
			t.Errorf("at the limits: %v", err)
		}
	}
}

// TestReadMemory gives files that announce far more than they hold, or that hold it as tersely as the format allows.
func TestReadMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads megabytes")
	}
	many := func(text string, n int) string { return strings.TrimSuffix(strings.Repeat(text, n), ",") }
	const n = 1 << 20
	spaced := func(text string) string { return strings.TrimSpace(strings.Repeat(text+" ", n)) }
	linear := stump(fields{
		"is_linear": 1, "leaf_const": "1 1", "num_features": "1 1", "leaf_features": spaced("0"), "leaf_coeff": "1 1",
	})
	const toCats = "{U\x07learner{U\x10gradient_booster{U\x05model{U\x04cats{U\x03enc["
	for name, text := range map[string]string{
		"leaves":        lightgbmText(nil, stump(fields{"num_leaves": n, "leaf_value": spaced("1")})),
		"names":         lightgbmText(fields{"max_feature_idx": n - 1, "feature_names": spaced("a")}),
		"header lines":  "tree\n" + strings.Repeat("a\n", n),
		"linear":        lightgbmText(nil, linear),
		"one-leaf":      lightgbmText(nil) + strings.Repeat("Tree=0\nnum_leaves=1\nleaf_value=1\n", n/8),
		"categories":    lightgbmText(nil, stump(nil)) + "pandas_categorical:[[" + many(`"",`, n) + "]]",
		"json array":    `{"learner":{"gradient_booster":{"model":{"tree_info":[` + many("0,", n) + `]}}}}`,
		"json names":    `{"learner":{"feature_names":[` + many(`"",`, n) + `]}}`,
		"json nesting":  strings.Repeat(`{"a":`, n),
		"json arrays":   `{"a":` + strings.Repeat(`[`, n),
		"json keys":     `{` + many(`"a":1,`, n) + `}`,
		"json trees":    `{"learner":{"gradient_booster":{"model":{"trees":[` + many("{},", n) + `]}}}}`,
		"ubj length":    "{L\x00\x00\x00\x00\x00\x00\x00\x01aS" + "L\x00\x00\x00\x00\x7f\xff\xff\xff",
		"ubj key":       "{L\x7f\xff\xff\xff\xff\xff\xff\xff",
		"ubj negative":  "{L\xff\xff\xff\xff\xff\xff\xff\xff",
		"ubj array":     "{U\x01a[$d#L\x00\x00\x00\x00\x7f\x00\x00\x00",
		"ubj null":      "{U\x01a[$Z#L\x00\x00\x00\x00\x7f\x00\x00\x00",
		"ubj untyped":   "{U\x01a[#L\x00\x00\x00\x00\x7f\x00\x00\x00",
		"ubj nesting":   "{" + strings.Repeat("U\x01a{", n),
		"ubj enc":       toCats + strings.Repeat("{U\x06values[$i#U\x01a}", n/16),
		"ubj no length": "{U\x01a[$d",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			started := processorTime(t)
			_, err := forest.Read("m", []byte(text), forest.Limits{})
			runtime.ReadMemStats(&after)
			// All that was ever allocated, also what was given back: an upper bound of what lived at once.
			if took := after.TotalAlloc - before.TotalAlloc; took > 4*uint64(len(text))+96<<20 {
				t.Errorf("%d bytes of file took %d bytes: %v", len(text), took, err)
			}
			if took := processorTime(t) - started; took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func hasKind(err error, kind forest.Kind) bool {
	e, ok := err.(*forest.Error)
	return ok && e.Kind == kind
}
