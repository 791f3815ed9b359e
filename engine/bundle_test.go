package engine_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// copyOf returns a baseline's files, for a test to modify.
func copyOf(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	return filesOf(t, "baseline/"+name)
}

// filesOf returns the files of a directory, for a test to modify.
func filesOf(t *testing.T, folder string) fstest.MapFS {
	t.Helper()
	dir := os.DirFS(folder)
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, e := range entries {
		text, err := fs.ReadFile(dir, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = &fstest.MapFile{Data: text}
	}
	return files
}

// writeManifest writes a manifest that matches the files.
func writeManifest(files fstest.MapFS) {
	delete(files, "manifest.sha256")
	var manifest strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&manifest, "%x  %s\n", sha256.Sum256(files[name].Data), name)
	}
	files["manifest.sha256"] = &fstest.MapFile{Data: []byte(manifest.String())}
}

func replace(files fstest.MapFS, name, old, with string) {
	files[name].Data = []byte(strings.Replace(string(files[name].Data), old, with, 1))
}

func replaceLast(files fstest.MapFS, name, old, with string) {
	text := string(files[name].Data)
	at := strings.LastIndex(text, old)
	files[name].Data = []byte(text[:at] + with + text[at+len(old):])
}

// replaceIn changes the cell of a row, the first of which is 1, in a CSV file without quotes.
func replaceIn(files fstest.MapFS, name string, row int, column, with string) {
	lines := strings.Split(string(files[name].Data), "\n")
	cells := strings.Split(lines[row], ",")
	cells[slices.Index(strings.Split(lines[0], ","), column)] = with
	lines[row] = strings.Join(cells, ",")
	files[name].Data = []byte(strings.Join(lines, "\n"))
}

// goldenReject replaces the tenure of the first golden row by text.
func goldenReject(files fstest.MapFS) string {
	lines := strings.SplitAfterN(string(files["golden.csv"].Data), "\n", 3)
	cells := strings.Split(lines[1], ",")
	cells[slices.Index(strings.Split(lines[0], ","), "tenure")] = "many"
	return strings.Join(cells, ",")
}

func TestOpenBaseline(t *testing.T) {
	for _, name := range engine.BaselineNames() {
		b := baseline(t, name)
		if b.Name() != name || b.Version() == "" || len(b.SHA256()) != 64 || b.Title() == "" || b.Kernel() == "" {
			t.Errorf("%s: %q %q %q %q %q", name, b.Name(), b.Version(), b.SHA256(), b.Title(), b.Kernel())
		}
		if trees := len(b.Forest().Trees); trees < 300 || trees > 500 {
			t.Errorf("%s: %d trees", name, trees)
		}
	}
	if _, err := engine.OpenBaseline("../telecom"); err == nil {
		t.Error("a path is not a baseline")
	}
}

func TestOpenBundleErrors(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(fstest.MapFS)
		signed bool // write a new manifest
		is     error
		says   string
	}{
		{"one byte of the model", func(f fstest.MapFS) { f["model.txt"].Data[3000] ^= 1 }, false, engine.ErrManifest, "model.txt"},
		{"file not listed", func(f fstest.MapFS) { f["extra.txt"] = &fstest.MapFile{} }, false, engine.ErrManifest, "extra.txt"},
		{"file gone", func(f fstest.MapFS) { delete(f, "golden.csv") }, false, engine.ErrManifest, "golden.csv"},
		{"no manifest", func(f fstest.MapFS) { delete(f, "manifest.sha256") }, false, fs.ErrNotExist, "manifest"},
		{"manifest of another kind", func(f fstest.MapFS) {
			f["manifest.sha256"].Data = []byte("hello\n")
		}, false, engine.ErrManifest, "line 1"},
		{"valid but wrong model", func(f fstest.MapFS) {
			replace(f, "model.txt", "leaf_value=0.", "leaf_value=0.1")
			replace(f, "model.txt", "leaf_value=-0.", "leaf_value=-0.1")
		}, true, nil, ""},
		{"golden raw score of another model", func(f fstest.MapFS) {
			replaceIn(f, "golden.csv", 2, "_raw", "0.125")
		}, true, engine.ErrGolden, "row 2: _raw is 0.125 in the file, "},
		{"golden probability of another model", func(f fstest.MapFS) {
			replaceIn(f, "golden.csv", 3, "_probability", "0.125")
		}, true, engine.ErrGolden, "row 3: _probability is 0.125 in the file, "},
		{"broken model", func(f fstest.MapFS) { f["model.txt"].Data = f["model.txt"].Data[:5000] }, true, nil, "model.txt"},
		{"no golden rows", func(f fstest.MapFS) { delete(f, "golden.csv") }, true, fs.ErrNotExist, "golden"},
		{"golden without expectation", func(f fstest.MapFS) {
			replace(f, "golden.csv", "_raw", "_other")
		}, true, nil, "_raw"},
		{"misspelt key", func(f fstest.MapFS) { replace(f, "bundle.yaml", "title:", "titel:") }, true, nil, "titel"},
		{"bad name", func(f fstest.MapFS) { replace(f, "bundle.yaml", "name: telecom", "name: Tele/com") }, true, nil, "Tele/com"},
		{"no version", func(f fstest.MapFS) { replace(f, "bundle.yaml", "version: '1'", "version: ''") }, true, nil, "version"},
		{"unknown type", func(f fstest.MapFS) { replace(f, "bundle.yaml", "type: number", "type: date") }, true, nil, "date"},
		{"id not described", func(f fstest.MapFS) { replace(f, "bundle.yaml", "id: customerID", "id: nobody") }, true, nil, "nobody"},
		{"feature not described", func(f fstest.MapFS) {
			replace(f, "bundle.yaml", "- name: tenure", "- name: tenure_x")
		}, true, nil, "tenure"},
		{"other missing value", func(f fstest.MapFS) {
			replace(f, "bundle.yaml", "missing_value: nan", "missing_value: '-999'")
		}, true, nil, "missing_value"},
		{"band without a name", func(f fstest.MapFS) {
			replace(f, "bundle.yaml", "{name: low,", "{name: =low,")
		}, true, nil, "band 1 needs a name"},
		{"bands out of order", func(f fstest.MapFS) { replace(f, "bundle.yaml", "below: 0.6", "below: 0.2") }, true, nil, "must ascend"},
		{"band without a bound", func(f fstest.MapFS) {
			replace(f, "bundle.yaml", "{name: low, below: 0.3}", "{name: low}")
		}, true, nil, "every band but the last"},
		{"category without categories", func(f fstest.MapFS) {
			replace(f, "bundle.yaml", "type: number", "type: category")
		}, true, nil, "categories belong to"},
		{"feature that is text", func(f fstest.MapFS) {
			replace(f, "bundle.yaml", "type: number", "type: text")
		}, true, nil, "is a text column"},
		{"column twice", func(f fstest.MapFS) {
			replace(f, "bundle.yaml", "- name: tenure", "- name: Contract")
		}, true, nil, "Contract"},
		{"golden rows without a line", func(f fstest.MapFS) { f["golden.csv"].Data = nil }, true, nil, "golden.csv"},
		{"golden rows that break off", func(f fstest.MapFS) {
			f["golden.csv"].Data = append(f["golden.csv"].Data, "\"open"...)
		}, true, nil, "golden.csv"},
		{"golden score that is no number", func(f fstest.MapFS) {
			replaceLast(f, "golden.csv", ",0.", ",x")
		}, true, nil, "is not a number"},
		{"golden row that is rejected", func(f fstest.MapFS) {
			replace(f, "golden.csv", "\n", "\n"+goldenReject(f))
		}, true, engine.ErrGolden, "rejected"},
		{"golden rows without a column", func(f fstest.MapFS) {
			replace(f, "golden.csv", "tenure", "tenureX")
		}, true, nil, "tenure"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := copyOf(t, "telecom")
			test.spoil(files)
			if test.signed {
				writeManifest(files)
			}
			_, err := engine.OpenBundle(files)
			if err == nil {
				t.Fatal("the bundle was accepted")
			}
			if test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %q", err)
			}
		})
	}
}

func TestGoldenRowsRejectWrongModel(t *testing.T) {
	files := copyOf(t, "telecom")
	text := string(files["model.txt"].Data)
	_, line, ok := strings.Cut(text, "\nleaf_value=")
	if !ok {
		t.Fatal("the model has no leaf values")
	}
	first, _, _ := strings.Cut(line, " ")
	replace(files, "model.txt", "\nleaf_value="+first, "\nleaf_value="+strings.Repeat("9", len(first)-2)+".0")
	writeManifest(files)
	if _, err := engine.OpenBundle(files); !errors.Is(err, engine.ErrGolden) {
		t.Fatalf("error %v", err)
	}
}

func TestOpenModelFile(t *testing.T) {
	model, err := os.ReadFile("baseline/telecom/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, err := engine.OpenModelFile("telecom.txt", model)
	if err != nil {
		t.Fatal(err)
	}
	if b.Name() != "telecom" || len(b.Schema().Columns) != len(b.Forest().Features) {
		t.Errorf("%q with %d columns", b.Name(), len(b.Schema().Columns))
	}
	text, err := os.ReadFile("../testdata/forest/lightgbm/categorical_text/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b, err = engine.OpenModelFile("shops.txt", text); err != nil {
		t.Fatal(err)
	}
	for i, feature := range b.Forest().Features { // the categories in the model file become the schema's
		if c := b.Schema().Columns[i]; !slices.Equal(c.Categories, feature.Categories) || c.Name != feature.Name {
			t.Errorf("column %q with %q, want %q with %q", c.Name, c.Categories, feature.Name, feature.Categories)
		}
	}
	for _, model := range []string{"README.md", "multiclass/model.txt", "poisson/model.txt"} {
		text, err := os.ReadFile("../testdata/forest/lightgbm/" + model)
		if errors.Is(err, fs.ErrNotExist) {
			text = []byte("hello")
		}
		if _, err := engine.OpenModelFile("x.txt", text); !errors.Is(err, engine.ErrModelUnsupported) {
			t.Errorf("%s: %v", model, err)
		}
	}
}

func headerOf(t *testing.T, line string) ingest.Header {
	t.Helper()
	h, _, err := ingest.ReadHeader(strings.NewReader(line+"\nx\n"), ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestRegistryChoosesByHeader(t *testing.T) {
	telecom, saas := baseline(t, "telecom"), baseline(t, "saas")
	r, err := engine.NewRegistry(telecom, saas)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range engine.BaselineNames() {
		first, _, _ := strings.Cut(sample(t, name+"_sample.csv"), "\n")
		b, err := r.Choose(headerOf(t, strings.TrimSuffix(first, "\r")))
		if err != nil || b.Name() != name {
			t.Errorf("%s sample: %v %v", name, b, err)
		}
	}
	var missing *ingest.MissingColumnsError
	_, err = r.Choose(headerOf(t, "customerID,tenure,MonthlyCharges,Contract"))
	if !errors.As(err, &missing) || len(missing.Columns) != 1 || missing.Columns[0].Name != "TotalCharges" {
		t.Errorf("closest model: %v", err)
	}
	twin := copyOf(t, "telecom")
	replace(twin, "bundle.yaml", "name: telecom", "name: twin")
	writeManifest(twin)
	other, err := engine.OpenBundle(twin)
	if err != nil {
		t.Fatal(err)
	}
	r.Swap(other)
	_, err = r.Choose(headerOf(t, "customerID,tenure,MonthlyCharges,TotalCharges,Contract"))
	if !errors.Is(err, engine.ErrAmbiguousHeader) {
		t.Errorf("two models fit: %v", err)
	}
}

func TestRegistrySwap(t *testing.T) {
	first, second := baseline(t, "telecom"), baseline(t, "telecom")
	r, err := engine.NewRegistry(first)
	if err != nil {
		t.Fatal(err)
	}
	r.Swap(second)
	if b, ok := r.Get("telecom"); !ok || b != second || len(r.List()) != 1 {
		t.Error("the old bundle is still there")
	}
	files := copyOf(t, "telecom")
	replace(files, "bundle.yaml", "version: '1'", "version: '2'")
	writeManifest(files)
	third, err := engine.OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	r.Swap(third)
	if b, ok := r.Pinned("telecom", second.SHA256()); !ok || b != second {
		t.Error("a prediction that is pinned to the replaced bundle cannot find it")
	}
	if b, ok := r.Pinned("telecom", third.SHA256()); !ok || b != third {
		t.Error("the bundle in use is not found by its digest")
	}
	if _, ok := r.Pinned("saas", third.SHA256()); ok {
		t.Error("another model has the same digest")
	}
	for range 20 {
		r.Swap(third)
	}
	if _, ok := r.Pinned("telecom", second.SHA256()); ok {
		t.Error("replaced bundles are kept without bound")
	}
	if _, ok := r.Get("saas"); ok {
		t.Error("saas was never loaded")
	}
	if _, err := engine.NewRegistry(first, second); err == nil {
		t.Error("two bundles of one name")
	}
	empty, err := engine.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Choose(headerOf(t, "a,b")); err == nil {
		t.Error("no model is loaded")
	}
}

// The features of a model without names are bound by position; the explanations have the same texts.
func TestFeaturesBoundByPositionAreExplained(t *testing.T) {
	files := copyOf(t, "telecom")
	_, line, ok := strings.Cut(string(files["model.txt"].Data), "\nfeature_names=")
	if !ok {
		t.Fatal("the model has no feature names")
	}
	line, _, _ = strings.Cut(line, "\n")
	names := strings.Fields(line)
	for i := range names {
		names[i] = fmt.Sprintf("Column_%d", i)
	}
	replace(files, "model.txt", "\nfeature_names="+line, "\nfeature_names="+strings.Join(names, " "))
	writeManifest(files)
	unnamed, err := engine.OpenBundle(files)
	if err != nil {
		t.Fatal(err)
	}
	file := sample(t, "telecom_sample.csv")
	opt := engine.Options{Explain: engine.ExplainAll}
	want, _, err := score(t, file, baseline(t, "telecom"), opt, ingest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := score(t, file, unnamed, opt, ingest.Limits{})
	if err != nil || got.result.String() != want.result.String() {
		t.Errorf("the explanations differ (%v)", err)
	}
}
