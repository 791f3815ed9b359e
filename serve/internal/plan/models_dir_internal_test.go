package plan

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/logging"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan/plantest"
	"github.com/retainwise/millrace/serve/internal/storefault"
)

func TestModels_SwapsValidBundlesOnly(t *testing.T) {
	dir := t.TempDir()
	plantest.WriteBundle(t, filepath.Join(dir, "mine"), "name: telecom", "name: mine")
	m := mustOpenModels(t, dir)
	if got := len(m.Registry.List()); got != len(engine.BaselineNames())+1 {
		t.Fatalf("%d models", got)
	}
	version := func() string {
		b, ok := m.Registry.Get("mine")
		if !ok {
			t.Fatal("the model is gone")
		}
		return b.Version()
	}
	steps := []struct{ old, with, want string }{
		{"name: telecom\nversion: '1'", "name: mine\nversion: '2'", "2"},
		{"name: telecom\nversion: '1'\ntitle:", "name: mine\nversion: '3'\ntitel:", "2"},
		{"name: telecom\nversion: '1'", "name: mine\nversion: '4'", "4"},
	}
	for _, step := range steps {
		plantest.WriteBundle(t, filepath.Join(dir, "mine"), step.old, step.with)
		m.refresh()
		m.refresh() // nothing has changed since
		if got := version(); got != step.want {
			t.Errorf("version %s is in use, want %s", got, step.want)
		}
	}
}

// TestB26ModelsThatLeavesCannotHold expects such a model in use with a line in the log, and refused where leaves is to
// score.
func TestB26ModelsThatLeavesCannotHold(t *testing.T) {
	model, err := os.ReadFile("../../../testdata/forest/xgboost/categorical/model.ubj")
	if err != nil {
		t.Fatal(err)
	}
	open := func() (*engine.Bundle, error) { return engine.OpenModelFile("native.ubj", model) }
	for scorer, code := range map[engine.Scorer]fault.Code{"": 0, engine.ScorerCompiled: 0, engine.ScorerLeaves: fault.CodeModelUnsupported} {
		m, err := OpenModels("", scorer, metrics.NewMetrics(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		b, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.CheckScorer(b); code != 0 {
			if err == nil || storefault.CodeOf(err) != code {
				t.Errorf("scorer %s: %v", scorer, err)
			}
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		warnWithoutLeaves(b, logging.NewLogger(&log, slog.LevelInfo))
		for _, want := range []string{"native", "ERR-1703", "leaves cannot send a missing category to the right"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q is not in the log: %s", want, log.String())
			}
		}
	}
	var log bytes.Buffer
	for _, name := range engine.BaselineNames() {
		b, err := engine.OpenBaseline(name)
		if err != nil {
			t.Fatal(err)
		}
		if warnWithoutLeaves(b, logging.NewLogger(&log, slog.LevelInfo)); log.Len() > 0 {
			t.Errorf("%s: %s", name, log.String())
		}
	}
}

func mustOpenModels(t *testing.T, dir string) *Models {
	t.Helper()
	m, err := OpenModels(dir, "", metrics.NewMetrics(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// refusedNow writes what is refused as "bundle code", and checks that the metric agrees.
func refusedNow(t *testing.T, m *Models) string {
	t.Helper()
	var list []string
	for _, r := range m.Refusals.List() {
		list = append(list, r.Bundle+" "+r.Code)
	}
	var shown dto.Metric
	if err := m.metrics.RefusedNow.Write(&shown); err != nil || int(shown.GetGauge().GetValue()) != len(list) {
		t.Errorf("the metric says %v (%v), refused are %q", shown.GetGauge().GetValue(), err, list)
	}
	return strings.Join(list, ", ")
}

// refusedTimes is how often bundles were refused.
func refusedTimes(t *testing.T, m *Models) int {
	t.Helper()
	var shown dto.Metric
	if err := m.metrics.RefusedTotal.Write(&shown); err != nil {
		t.Fatal(err)
	}
	return int(shown.GetCounter().GetValue())
}

// Whatever is wrong with a bundle at the start, it is refused with a code, the baselines and the good one beside it are
// used, and what is put right is taken in without a restart.
func TestB22ABadBundleAtTheStart(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		code   string
		damage func(t *testing.T, dir string)
	}{
		"another sha256": {"ERR-1706", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "model.txt"), "tree") }},
		"a file too many": {"ERR-1706", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "notes.txt"), "x")
		}},
		"a manifest that is none": {"ERR-1706", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, engine.ManifestFile), "x")
		}},
		"no manifest": {"ERR-1709", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, engine.ManifestFile)); err != nil {
				t.Fatal(err)
			}
		}},
		"no description": {"ERR-1709", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "bundle.yaml")); err != nil {
				t.Fatal(err)
			}
		}},
		"a manifest that cannot be read": {"ERR-1709", func(t *testing.T, dir string) {
			manifest := filepath.Join(dir, engine.ManifestFile)
			if err := os.Remove(manifest); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(manifest, 0o700); err != nil { // not even root can read it as a file
				t.Fatal(err)
			}
		}},
		"YAML that is none": {"ERR-1709", func(t *testing.T, dir string) { plantest.WriteBundle(t, dir, "name: telecom", "name: [") }},
		"an unknown key":    {"ERR-1709", func(t *testing.T, dir string) { plantest.WriteBundle(t, dir, "title:", "titel:") }},
		"a column of another name": {"ERR-1704", func(t *testing.T, dir string) {
			plantest.WriteBundle(t, dir, "- name: gender", "- name: sort")
		}},
		"scores that differ": {"ERR-1705", func(t *testing.T, dir string) {
			plantest.WriteBundle(t, dir, "categories: [Female, Male]", "categories: [Male, Female]")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			bad := filepath.Join(dir, "bad")
			plantest.WriteBundle(t, bad, "name: telecom", "name: bad")
			plantest.WriteBundle(t, filepath.Join(dir, "good"), "name: telecom", "name: good")
			test.damage(t, bad)
			m := mustOpenModels(t, dir)
			if got := refusedNow(t, m); got != "bad "+test.code {
				t.Errorf("refused: %q, want %s", got, test.code)
			}
			for _, model := range append(engine.BaselineNames(), "good") {
				if _, ok := m.Registry.Get(model); !ok {
					t.Errorf("%s is not in use", model)
				}
			}
			m.refresh()
			m.refresh()
			if got := refusedTimes(t, m); got != 1 {
				t.Errorf("refused %d times", got)
			}
			if err := os.RemoveAll(bad); err != nil {
				t.Fatal(err)
			}
			plantest.WriteBundle(t, bad, "name: telecom", "name: bad")
			m.refresh()
			if _, ok := m.Registry.Get("bad"); !ok || refusedNow(t, m) != "" {
				t.Errorf("put right it is still refused: %s", refusedNow(t, m))
			}
		})
	}
}

// A file that is put right is noticed though the manifest stays as it was.
func TestB22ABundleIsPutRight(t *testing.T) {
	dir := t.TempDir()
	bundle := filepath.Join(dir, "mine")
	plantest.WriteBundle(t, bundle, "name: telecom", "name: mine")
	file := filepath.Join(bundle, "golden.csv")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, good[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	m := mustOpenModels(t, dir)
	if got := refusedNow(t, m); got != "mine ERR-1706" {
		t.Errorf("refused: %q", got)
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	m.refresh()
	if _, ok := m.Registry.Get("mine"); !ok || refusedNow(t, m) != "" {
		t.Errorf("refused: %q", refusedNow(t, m))
	}
}

// Of two bundles of one name the first is used, and the second as soon as that is gone.
func TestB22TwoBundlesOfOneName(t *testing.T) {
	dir := t.TempDir()
	plantest.WriteBundle(t, filepath.Join(dir, "a"), "name: telecom\nversion: '1'", "name: mine\nversion: '7'")
	plantest.WriteBundle(t, filepath.Join(dir, "b"), "name: telecom\nversion: '1'", "name: mine\nversion: '8'")
	m := mustOpenModels(t, dir)
	used := func() string {
		b, ok := m.Registry.Get("mine")
		if !ok {
			t.Fatal("none is in use")
		}
		return b.Version() + " " + refusedNow(t, m)
	}
	if got := used(); got != "7 b ERR-1709" {
		t.Errorf("in use: %s", got)
	}
	m.refresh()
	if got := refusedTimes(t, m); got != 1 {
		t.Errorf("refused %d times", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	m.refresh()
	if got := used(); got != "8 " {
		t.Errorf("in use: %s", got)
	}
}

// A directory of bundles that is not there ends the start, a file in its place too.
func TestTheDirectoryOfBundlesMustBeThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(t.TempDir(), "bundles"), file} {
		if _, err := OpenModels(dir, "", metrics.NewMetrics(), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s is taken for a directory of bundles", dir)
		}
	}
}

// Model files without a bundle are shown, while serving too, until they are gone; so is a directory without a manifest
// that is no copy under way.
func TestWhatIsNoBundleIsShown(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("tree"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bare := write("xgb.json")
	write("README.md")
	write(".hidden.json")
	m := mustOpenModels(t, dir)
	if got := refusedNow(t, m); got != "xgb.json ERR-1709" {
		t.Errorf("at the start: %q", got)
	}
	part := write("half/xgb.json")
	m.refresh()
	if got := refusedNow(t, m); got != "xgb.json ERR-1709" {
		t.Errorf("while one is copied: %q", got)
	}
	long := time.Now().Add(-2 * copyTime)
	if err := errors.Join(os.Chtimes(part, long, long), os.Chtimes(filepath.Dir(part), long, long), os.Remove(bare)); err != nil {
		t.Fatal(err)
	}
	m.refresh()
	if got := refusedNow(t, m); got != "half ERR-1709" {
		t.Errorf("when the copy is over: %q", got)
	}
}

// What is no bundle is passed over, and what is copied.
func TestB22TheDirectoryOfBundles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundles")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m := mustOpenModels(t, dir)
	for _, name := range []string{"empty", "lost+found", ".half/x"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	plantest.WriteBundle(t, filepath.Join(dir, ".mine"), "name: telecom", "name: hidden")
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	plantest.WriteBundle(t, filepath.Join(dir, "mine"), "name: telecom", "name: mine")
	plantest.WriteBundle(t, filepath.Join(dir, "copied"), "name: telecom", "name: copied")
	manifest := filepath.Join(dir, "copied", engine.ManifestFile)
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(manifest); err != nil {
		t.Fatal(err)
	}
	m.refresh()
	if _, ok := m.Registry.Get("mine"); !ok || refusedNow(t, m) != "" {
		t.Errorf("while one is copied: %q", refusedNow(t, m))
	}
	if err := os.WriteFile(manifest, text, 0o600); err != nil {
		t.Fatal(err)
	}
	m.refresh()
	if _, ok := m.Registry.Get("copied"); !ok || refusedNow(t, m) != "" {
		t.Errorf("when it is complete: %q", refusedNow(t, m))
	}
	if _, ok := m.Registry.Get("hidden"); ok {
		t.Error("a hidden directory was opened")
	}
	none := mustOpenModels(t, "")
	none.refresh()
	if got := refusedNow(t, none); got != "" {
		t.Errorf("without a directory: %q", got)
	}
}
