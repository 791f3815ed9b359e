package main

import (
	"os"
	"strings"
	"testing"
)

// TestEveryAlertIsProvoked fails for an alert of the rules that make alerts does not provoke, for one that is not in the
// rules, and for one without a row in the table of the operations page.
func TestEveryAlertIsProvoked(t *testing.T) {
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	names := alertNames(rules)
	if n := strings.Count(string(rules), "alert:"); len(names) != n || n < 30 {
		t.Fatalf("%d alerts found of %d", len(names), n)
	}
	if err := checkCauses(names); err != nil {
		t.Error(err)
	}
	if checkCauses(append(names, "MillraceNew")) == nil || checkCauses(names[1:]) == nil {
		t.Error("an alert that is not provoked, or not in the rules, is not reported")
	}
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range causedAlerts() {
		if !strings.Contains(string(page), "| `"+id.String()+"` |") {
			t.Errorf("the table of docs/operations.md has no row for %s: make alerts prints it", id)
		}
	}
}

// TestHastenedRules: every duration is divided, and nothing else is changed.
func TestHastenedRules(t *testing.T) {
	const rules = "interval: 30s\nexpr: rate(x_rate5m[5m]) > 60 and increase(y[3d]) - time() > 120\nfor: 1h\nfor: 0s\n"
	const want = "interval: 500ms\nexpr: rate(x_rate5m[15000ms]) > 60 and increase(y[4320000ms]) - time() > 120\n" +
		"for: 60000ms\nfor: 0ms\n"
	if got := string(hasten([]byte(rules))); got != want {
		t.Errorf("%s", got)
	}
}

// TestBugsApply: the lines that the broken build changes are there.
func TestBugsApply(t *testing.T) {
	if _, err := overlay("..", t.TempDir()); err != nil {
		t.Error(err)
	}
}
