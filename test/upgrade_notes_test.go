package test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestUpgradeNotesNameWhatExists reads the table of CHANGELOG.md that says what changes for users: every row has four
// cells, and every flag that it offers is one of a command.
func TestUpgradeNotesNameWhatExists(t *testing.T) {
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| what | before | now | what to do |\n|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")
	if !found || len(rows) < 20 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	help := ""
	for _, command := range [][]string{{"serve"}, {"score"}, {"validate"}, {"store", "check"}, {"jobs", "retry"}} {
		_, out, messages := millrace(t, append(command, "--help")...)
		help += out + messages
	}
	flag := regexp.MustCompile("--[a-z0-9-]+")
	for _, row := range rows {
		cells := strings.Split(strings.Trim(row, "|"), " | ")
		if len(cells) != 4 {
			t.Errorf("%d cells in: %s", len(cells), row)
			continue
		}
		for _, name := range flag.FindAllString(cells[3], -1) {
			if !regexp.MustCompile(regexp.QuoteMeta(name) + `[^a-z0-9-]`).MatchString(help) {
				t.Errorf("no command has %s: %s", name, row)
			}
		}
	}
}
