// Package deploy_test checks what is shipped for operators against the program itself.
package deploy_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const rulesFile = "prometheus/rules.yaml"

// rules reads the rules as Prometheus does when it loads them: this is what promtool check rules calls.
func rules(t *testing.T) (all []rulefmt.Rule) {
	t.Helper()
	groups, errs := rulefmt.ParseFile(rulesFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}),
		slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestEveryAlertHasARunbook fails for an alert without a heading in the operations page, and for a heading without an alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if !strings.Contains(string(page), "\n### "+r.Alert+"\n") {
			t.Errorf("docs/operations.md has no heading for %s", r.Alert)
		}
		if want := "/docs/operations.md#" + strings.ToLower(r.Alert); !strings.HasSuffix(r.Annotations["runbook_url"], want) {
			t.Errorf("%s: runbook_url %s", r.Alert, r.Annotations["runbook_url"])
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
	}
	for line := range strings.Lines(string(page)) {
		if name, ok := strings.CutPrefix(line, "### Millrace"); ok && !alerts["Millrace"+strings.TrimSpace(name)] {
			t.Errorf("docs/operations.md has a runbook for Millrace%s, which is no alert", name)
		}
	}
}

// TestEveryAlertIsTested fails for an alert that fires in no scenario, or in all.
func TestEveryAlertIsTested(t *testing.T) {
	text, err := os.ReadFile("prometheus/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		fires, still := 0, 0
		for _, check := range strings.Split(string(text), "- eval_time:")[1:] {
			if !strings.Contains(check, "alertname: "+r.Alert+"\n") {
				continue
			}
			if strings.Contains(check, "exp_alerts:") {
				fires++
			} else {
				still++
			}
		}
		if fires == 0 || still == 0 {
			t.Errorf("%s: fires in %d scenarios, keeps still in %d", r.Alert, fires, still)
		}
	}
}

// boardQueries are the queries of all boards by "board: panel".
func boardQueries(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("grafana/*.json")
	if err != nil || len(files) != 6 {
		t.Fatalf("%d boards, %v", len(files), err)
	}
	queries := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatal(err)
		}
		for _, p := range board.Panels {
			for _, target := range p.Targets {
				at := filepath.Base(file) + ": " + p.Title
				queries[at] = append(queries[at], target.Expr)
			}
		}
	}
	return queries
}
