package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestC6CoverageFloor runs the script of make cover on profiles above and below the floor.
func TestC6CoverageFloor(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`tests run ([0-9.]+) % of all statements`).FindSubmatch(readme)
	if said == nil {
		t.Fatal("README.md has no coverage")
	}
	published, err := strconv.ParseFloat(string(said[1]), 64)
	if err != nil || published < 95 {
		t.Fatalf("README.md says %s %%: %v", said[1], err)
	}
	for name, test := range map[string]struct {
		percent float64
		floor   string
		wrong   string // expected message; empty: accepted
	}{
		"as published":    {published, "95", ""},
		"under the floor": {published, "99.9", "under 99.9 %"},
		"far more":        {published + 1.2, "95", "README.md says"},
		"nothing ran":     {0, "95", "under 95 %"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			profile, page := filepath.Join(dir, "cover.out"), filepath.Join(dir, "coverage.html")
			run := int(test.percent*10 + 0.5)
			text := fmt.Sprintf("mode: set\ngithub.com/retainwise/millrace/main.go:1.1,1.2 %d 1\n"+
				"github.com/retainwise/millrace/main.go:2.1,2.2 %d 0\n", run, 1000-run)
			if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			said, err := exec.Command(".ci/cover", test.floor, profile, page).CombinedOutput()
			if (err == nil) != (test.wrong == "") || !strings.Contains(string(said), test.wrong) {
				t.Errorf("%v: %s", err, said)
			}
			if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "millrace/main.go") {
				t.Errorf("no HTML: %v", err)
			}
		})
	}
	none := filepath.Join(t.TempDir(), "none")
	if said, err := exec.Command(".ci/cover", "95", none, none+".html").CombinedOutput(); err == nil {
		t.Errorf("no profile is fine: %s", said)
	}
}

// TestC6CIChecksCoverage checks that CI runs the target that enforces the floor.
func TestC6CIChecksCoverage(t *testing.T) {
	script, err := os.ReadFile(".ci/run")
	if err != nil || !strings.Contains(string(script), "\nmake cover\n") {
		t.Errorf("CI does not run make cover: %v", err)
	}
}
