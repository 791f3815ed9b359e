package serve

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
)

// writeBundle puts a copy of a baseline into a directory, with a change to its bundle.yaml.
func writeBundle(t *testing.T, dir, old, with string) {
	t.Helper()
	source := filepath.Join("..", "engine", "baseline", "telecom")
	entries, err := os.ReadDir(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var manifest strings.Builder
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(source, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() == engine.ManifestFile {
			continue
		}
		if e.Name() == "bundle.yaml" {
			text = []byte(strings.Replace(string(text), old, with, 1))
		}
		fmt.Fprintf(&manifest, "%x  %s\n", sha256.Sum256(text), e.Name())
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, engine.ManifestFile), []byte(manifest.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBundlesAreSwappedButNeverForABadOne(t *testing.T) {
	dir := t.TempDir()
	writeBundle(t, filepath.Join(dir, "mine"), "name: telecom", "name: mine")
	m, err := openModels(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(m.registry.List()); got != len(engine.BaselineNames())+1 {
		t.Fatalf("%d models", got)
	}
	version := func() string {
		b, ok := m.registry.Get("mine")
		if !ok {
			t.Fatal("the model is gone")
		}
		return b.Version()
	}
	metrics, log := NewMetrics(), slog.New(slog.DiscardHandler)
	steps := []struct{ old, with, want string }{
		{"name: telecom\nversion: '1'", "name: mine\nversion: '2'", "2"},
		{"name: telecom\nversion: '1'\ntitle:", "name: mine\nversion: '3'\ntitel:", "2"},
		{"name: telecom\nversion: '1'", "name: mine\nversion: '4'", "4"},
	}
	for _, step := range steps {
		writeBundle(t, filepath.Join(dir, "mine"), step.old, step.with)
		m.refresh(metrics, log)
		m.refresh(metrics, log) // nothing has changed since
		if got := version(); got != step.want {
			t.Errorf("version %s is in use, want %s", got, step.want)
		}
	}
}

// TestB26ModelsThatLeavesCannotHold wants such a model in use with a line in the log, and refused where leaves is to
// score.
func TestB26ModelsThatLeavesCannotHold(t *testing.T) {
	model, err := os.ReadFile("../testdata/forest/xgboost/categorical/model.ubj")
	if err != nil {
		t.Fatal(err)
	}
	open := func() (*engine.Bundle, error) { return engine.OpenModelFile("native.ubj", model) }
	for scorer, code := range map[engine.Scorer]Code{"": 0, engine.ScorerCompiled: 0, engine.ScorerLeaves: CodeModelUnsupported} {
		m, err := openModels("", scorer)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.add(open)
		if code != 0 {
			if _, loaded := m.registry.Get("native"); err == nil || CodeOf(err) != code || loaded {
				t.Errorf("scorer %s: %v, loaded %v", scorer, err, loaded)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		warnWithoutLeaves(b, NewLogger(&log, slog.LevelInfo))
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
		if warnWithoutLeaves(b, NewLogger(&log, slog.LevelInfo)); log.Len() > 0 {
			t.Errorf("%s: %s", name, log.String())
		}
	}
}

func TestABadBundleAtTheStartIsAnError(t *testing.T) {
	dir := t.TempDir()
	writeBundle(t, filepath.Join(dir, "mine"), "title:", "titel:")
	if _, err := openModels(dir, ""); err == nil || !strings.Contains(err.Error(), "titel") {
		t.Errorf("error %v", err)
	}
	if m, err := openModels("", ""); err != nil || m.changed() != nil {
		t.Errorf("no directory: %v", err)
	}
}
