package main

import (
	"path/filepath"
	"testing"
)

// What a mutant replaces still stands in the code, exactly once. Whether a test notices is what make mutants finds out.
func TestMutantsApply(t *testing.T) {
	mutants, err := readMutants(".")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if err := m.writeOverlay(root, filepath.Join(t.TempDir(), "overlay.json")); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
