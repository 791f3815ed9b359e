package forest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// TestCategoriesAreWrittenAsPandasWritesThem: texts of a list are what DataFrame.to_csv puts into a cell.
func TestCategoriesAreWrittenAsPandasWritesThem(t *testing.T) {
	text := lightgbmText(fields{"feature_infos": "0:1:2 [0:1]"}, stump(nil))
	for _, tt := range []struct {
		list      string
		want      []string
		kind      forest.CategoryKind
		spellings map[string]string
	}{
		{`["yes", "no"]`, []string{"yes", "no"}, forest.CategoryText, nil},
		{
			`[false, true]`,
			[]string{"False", "True"},
			forest.CategoryBool,
			map[string]string{"false": "False", "FALSE": "False", "true": "True", "TRUE": "True"},
		},
		{`[1, 10]`, []string{"1", "10"}, forest.CategoryInteger, map[string]string{"1.0": "1", "10.0": "10"}},
		{
			`[0.0, 1.5, 1e-07, 1e16, 123456789.0]`,
			[]string{"0.0", "1.5", "1e-07", "1e+16", "123456789.0"},
			forest.CategoryFloat,
			map[string]string{
				"0": "0.0", "0.0000001": "1e-07", "10000000000000000": "1e+16", "123456789": "123456789.0",
				"1.23456789e+08": "123456789.0",
			},
		},
		{`[0.10000000149011612]`, []string{"0.10000000149011612"}, forest.CategoryFloat, map[string]string{"0.1": "0.10000000149011612"}},
		{`[1, 2.5]`, []string{"1", "2.5"}, forest.CategoryFloat, map[string]string{"1.0": "1"}},
		{`["a", true, 2.0]`, []string{"a", "True", "2.0"}, forest.CategoryText, nil},
	} {
		feature := mustRead(t, text+"\npandas_categorical:["+tt.list+"]\n").Features[0]
		if !slices.Equal(feature.Categories, tt.want) || feature.CategoryKind != tt.kind {
			t.Errorf("%s: %q of kind %d", tt.list, feature.Categories, feature.CategoryKind)
		}
		if got := feature.Spellings(); !maps.Equal(got, tt.spellings) {
			t.Errorf("%s: spellings %q, want %q", tt.list, got, tt.spellings)
		}
	}
}

// TestCategoriesThatAreLost: no text is given to a category of which the file may hold another.
func TestCategoriesThatAreLost(t *testing.T) {
	cats := func(version []int, enc any) string {
		return xgboostDocument(t, func(doc, _, model fields) {
			doc["version"] = version
			model["cats"] = fields{"enc": []any{enc, fields{"offsets": []int{}, "values": []int{}}}}
		})
	}
	plain := fields{"offsets": []int{0, 1, 2}, "values": []int{97, 98}}
	umlaut := fields{"offsets": []int{0, 1, 3}, "values": []int{97, -61, -92}}
	broken := fields{"offsets": []int{0, 1, 2}, "values": []int{97, -61}}
	old := xgboostDocument(t, func(doc, learner, _ fields) {
		doc["version"], learner["feature_types"] = []int{2, 1, 4}, []string{"c", "float"}
	})
	for _, tt := range []struct{ name, text, lost string }{
		{"3.4 beyond ASCII", cats([]int{3, 4, 1}, umlaut), ""},
		{"3.2 within ASCII", cats([]int{3, 2, 0}, plain), ""},
		{"3.1 beyond ASCII", cats([]int{3, 1, 0}, umlaut), "XGBoost 3.1.0 saved names"},
		{"3.2 beyond ASCII", cats([]int{3, 2, 0}, umlaut), "XGBoost 3.2.0 saved names"},
		{"3.3 beyond ASCII", cats([]int{3, 3, 0}, umlaut), "XGBoost 3.3.0 saved names"},
		{"3.2 cut within a letter", cats([]int{3, 2, 0}, broken), "XGBoost 3.2.0 saved names"},
		{"3.4 cut within a letter", cats([]int{3, 4, 1}, broken), "XGBoost 3.4.1 saved names"},
		{"2.1", old, "XGBoost 2.1.4 saves no names of categories"},
	} {
		f := mustRead(t, tt.text)
		if !strings.HasPrefix(f.CategoriesLost, tt.lost) || (f.CategoriesLost == "") != (tt.lost == "") {
			t.Errorf("%s: lost %q, want %q", tt.name, f.CategoriesLost, tt.lost)
		}
		if known := len(f.Features[0].Categories) > 0; known != (tt.lost == "") || !f.Features[0].Categorical {
			t.Errorf("%s: %+v", tt.name, f.Features[0])
		}
	}
}
