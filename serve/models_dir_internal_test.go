package serve

import (
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
