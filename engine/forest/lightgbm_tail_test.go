package forest_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// TestLightGBMEnds reads files that end as old and foreign programs write them, all of which LightGBM 4.7 loads.
func TestLightGBMEnds(t *testing.T) {
	const tail = "end of parameters\n"
	text := lightgbmText(nil, stump(nil))
	categorical := lightgbmText(fields{"feature_infos": "0:1 [0:1]"}, stump(nil))
	trees := func(text string) string { return text[:strings.Index(text, "end of trees")] }
	for _, tt := range []struct {
		name, text string
		warned     bool
		lost       bool
	}{
		{"as written today", text, false, false},
		{"with a parser", text + "\nparser:\n{\"className\": \"x\"}\n\nend of parser\n\npandas_categorical:null\n", false, false},
		{"without parameters", trees(text) + "end of trees\n\nfeature_importances:\na=1\n", true, false},
		{"without parameters, categorical", trees(categorical) + "end of trees\n\nfeature_importances:\n", true, true},
		{"with nothing but the end of its parameters", trees(text) + "end of trees\n\nend of parameters\n", true, false},
		{"without importances", trees(text) + "end of trees\n" + text[strings.Index(text, "\nparameters:"):], false, false},
		{"without version", strings.Replace(text, "version=v4\n", "", 1), true, false},
		{"of LightGBM 2.0", trees(categorical) + "\nfeature importances:\na=1\n\npandas_categorical:null\n", false, false},
		{"of LightGBM 2.0, cut off", trees(categorical) + "\nfeature importances:\na=1\n", true, true},
		{"without \"end of trees\"", trees(text) + "\nfeature_importances:\n" + text[strings.Index(text, "\nparameters:"):], false, false},
	} {
		f := mustRead(t, tt.text)
		if raw(t, f, 0, 0)[0] != -1 || raw(t, f, 1, 0)[0] != 1 {
			t.Errorf("%s: wrong score", tt.name)
		}
		if (len(f.Warnings) > 0) != tt.warned || (f.CategoriesLost != "") != tt.lost {
			t.Errorf("%s: warnings %q, categories lost %q", tt.name, f.Warnings, f.CategoriesLost)
		}
	}
	for name, text := range map[string]string{
		"cut within its trees":      trees(text),
		"cut behind its trees":      trees(text) + "end of trees",
		"cut behind their end":      trees(text) + "end of trees\n\n",
		"cut within its parameters": strings.TrimSuffix(text, tail),
		"cut within its parser":     text + "\nparser:\n{\"className\"",
		"text behind it":            text + "\nmore\n",
	} {
		t.Run(name, func(t *testing.T) { wantKind(t, text, forest.KindTruncated) })
	}
}
