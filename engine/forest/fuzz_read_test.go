package forest_test

import (
	"bytes"
	"testing"
)

func FuzzReadLightGBM(f *testing.F) { fuzzRead(f, "lightgbm") }

func FuzzReadLinear(f *testing.F) { fuzzRead(f, "linear") }

func FuzzReadXGBoostJSON(f *testing.F) { fuzzRead(f, "json") }

func FuzzReadXGBoostUBJSON(f *testing.F) { fuzzRead(f, "ubjson") }

// fuzzRead starts from real files; whatever becomes of them, the outcome is a typed error or a model that passes the
// self-check. Run it with -fuzzminimizetime 1x: shrinking inputs of this size takes all the time otherwise.
func fuzzRead(f *testing.F, format string) {
	for _, name := range mutationModels()[format] {
		f.Add(fixtureFile(f, name))
	}
	switch format {
	case "lightgbm":
		f.Add([]byte(lightgbmText(nil, stump(nil))))
		f.Add(fixtureFile(f, "lightgbm/one_leaf/model.txt"))
		f.Add([]byte(lightgbmText(nil) + "pandas_categorical:[[\"a\",1]]"))
	case "json":
		f.Add([]byte(xgboostModel(f, nil, xgboostStump(nil))))
		f.Add([]byte(xgboostModel(f, nil, setTree(nil, 1, 40))))
		f.Add(fixtureFile(f, "xgboost/one_leaf/model.json"))
	case "ubjson":
		small := fixtureFile(f, "xgboost/one_leaf/model.ubj")
		f.Add(small)
		f.Add(bytes.ReplaceAll(small, []byte("[$d#L"), []byte("[#L")))
	}
	f.Fuzz(func(t *testing.T, file []byte) { readOrRefuse(t, file) })
}
