// Package plantest writes bundles for tests.
package plantest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
)

// WriteBundle puts a copy of the telecom baseline into a directory, with a change to its bundle.yaml.
func WriteBundle(t *testing.T, dir, old, with string) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	source := filepath.Join(filepath.Dir(here), "..", "..", "..", "..", "engine", "baseline", "telecom")
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
