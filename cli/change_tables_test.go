package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
)

func TestScoreReportsChanges(t *testing.T) {
	dir := t.TempDir()
	file := readSample(t, "telecom_sample.csv")
	february, summary := filepath.Join(dir, "february.csv"), filepath.Join(dir, "summary.json")
	if status, _, messages := command(t, file, "score", "--model", "telecom", "--out", february, "-"); status != 0 {
		t.Fatal(messages)
	}
	lines := strings.SplitAfter(file, "\n")
	march := lines[0] + strings.ReplaceAll(strings.Join(lines[3:], ""), "Two year", "Month-to-month")
	status, _, messages := command(t, march, "score", "--model", "telecom", "--out", filepath.Join(dir, "march.csv"),
		"--summary", summary, "--changes-from", february, "-")
	if status != 0 {
		t.Fatal(messages)
	}
	text, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	var s engine.Summary
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	c := s.Changes
	if c == nil || c.Status != engine.ChangesCompared || c.Previous.Filename != "february.csv" ||
		c.Customers.New != 0 || c.Customers.Gone != 2 || c.Customers.Stayed != 18 || len(c.Risen) == 0 ||
		c.Risen[0].Factors[0].Label != "Contract" {
		t.Fatalf("%s", text)
	}
	for _, m := range append(c.Risen, c.Fallen...) {
		row := strings.Split(lines[m.Row+2], ",")
		if m.ID == "" || m.ID != row[0] {
			t.Errorf("row %d is of %q, not %q", m.Row, row[0], m.ID)
		}
	}
	for _, bad := range []string{"-", filepath.Join(dir, "none.csv")} {
		status, _, messages := command(t, march, "score", "--model", "telecom", "--changes-from", bad, "-")
		if status == 0 {
			t.Errorf("%s: %s", bad, messages)
		}
	}
}

func TestChangeTables(t *testing.T) {
	up, down, same := int64(40), int64(31), int64(1879)
	c := &engine.Changes{
		Status: engine.ChangesCompared, Previous: &engine.PreviousUpload{Filename: "february.csv"},
		Customers: &engine.CustomerChange{
			New: 60, Gone: 50, Stayed: 1950, MovedUp: &up, MovedDown: &down, Unchanged: &same,
		},
		Expected: &engine.SumChange{New: 21.4, Gone: -13, Stayed: 10},
		Loss:     &engine.SumChange{New: 1602, Gone: -944, Stayed: 0},
		Risen: []engine.RiskChange{{
			Row: 17, ID: "A\x1b[31m", Explanation: "Risk up from 21 % (low) to 64 % (high), raised by contract.",
		}},
		Factors: []engine.FactorChange{{Label: "Contract", Change: 0.0314}},
	}
	text := changeTables(c)
	for _, want := range []string{
		"Changes since february.csv",
		"new                             60                +21         +1,602",
		"gone                            50                -13           -944",
		"stayed                       1,950                +10              0",
		"  in a higher risk band         40",
		"A·[31m (row 17): Risk up from 21 % (low) to 64 % (high), raised by contract.",
		"Contract       +0.031",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	c.Status, c.Customers, c.Expected, c.Loss = engine.ChangesModelChanged, &engine.CustomerChange{New: 1}, nil, nil
	if text := changeTables(c); !strings.Contains(text, "the model changed") {
		t.Error(text)
	}
	for status, want := range map[engine.ChangeStatus]string{
		engine.ChangesTooLarge:    "Changes since february.csv: too many rows to compare.",
		engine.ChangesNoIDs:       "Changes since february.csv: no customer ids to compare by.",
		engine.ChangesUnavailable: "Changes since february.csv: no longer known.",
	} {
		none := &engine.Changes{Status: status, Previous: c.Previous}
		if text := changeTables(none); !strings.Contains(text, want) {
			t.Errorf("%s: %q", status, text)
		}
	}
	if text := changeTables(&engine.Changes{Status: engine.ChangesFirstUpload}) + changeTables(nil); text != "" {
		t.Errorf("%q", text)
	}
}
