package test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuardOffice opens a result and a rejects file, made of cells that would be formulas, in LibreOffice with each
// separator and looks for live formulas. It takes minutes: make guard-office runs it.
func TestGuardOffice(t *testing.T) {
	if os.Getenv("GUARD_OFFICE") == "" {
		t.Skip("runs with make guard-office only")
	}
	office, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("LibreOffice is not installed: no soffice in PATH (on Debian: apt-get install libreoffice-calc-nogui)")
	}
	dir := t.TempDir()
	control := filepath.Join(dir, "control.csv")
	if err := os.WriteFile(control, []byte("a,b\nx,=1+1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := len(formulas(t, office, control, "44")); n != 1 {
		t.Fatalf("LibreOffice finds %d formulas in a file that has one: the test proves nothing", n)
	}
	for name, delimiter := range map[string]rune{"comma": ',', "semicolon": ';', "tab": '\t', "pipe": '|'} {
		input := filepath.Join(dir, name+".csv")
		if err := os.WriteFile(input, hostileOfficeFile(delimiter), 0o600); err != nil {
			t.Fatal(err)
		}
		result, rejects := filepath.Join(dir, name+"-result.csv"), filepath.Join(dir, name+"-rejects.csv")
		status, _, messages := millrace(t, "score", "--model", "telecom", "--max-rejected", "1000", "--out", result,
			"--rejects", rejects, input)
		if status != 0 {
			t.Fatalf("%s: %s", name, messages)
		}
		for _, file := range []string{result, rejects} {
			for _, separators := range []string{"44", "59", "9", "124", "44/9", "44/59/9/124"} {
				for _, cell := range formulas(t, office, file, separators) {
					t.Errorf("%s, separators %s: %s", filepath.Base(file), separators, cell)
				}
			}
		}
	}
}

// formulas opens a CSV file with separators, given as codes of characters, and returns its cells that are formulas.
func formulas(t *testing.T, office, file, separators string) []string {
	t.Helper()
	out := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// Separators, quotation mark, UTF-8, first line, columns, language, quoted text as text (no), special numbers (yes),
	// three settings of exports, the sheet, formulas are evaluated (yes).
	filter := fmt.Sprintf("CSV:%s,34,76,1,,0,false,true,false,false,false,0,true", separators)
	cmd := exec.CommandContext(ctx, office, "-env:UserInstallation=file://"+filepath.Join(os.TempDir(), "millrace-office"),
		"--headless", "--infilter="+filter, "--convert-to", "fods", "--outdir", out, file)
	if message, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, message)
	}
	made, err := filepath.Glob(filepath.Join(out, "*.fods"))
	if err != nil || len(made) != 1 {
		t.Fatalf("LibreOffice made %v (%v)", made, err)
	}
	text, err := os.ReadFile(made[0])
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, cell := range strings.Split(string(text), "table:formula=")[1:] {
		found = append(found, cell[:min(len(cell), 120)])
	}
	return found
}

// hostileOfficeFile has formulas in cells, ids, headers and rejected rows: bare, and behind every separator.
func hostileOfficeFile(delimiter rune) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = delimiter
	_ = w.Write([]string{"customerID", "tenure", "MonthlyCharges", "TotalCharges", "Contract", "note", "=1+1", "h;=1+1,=2+2\t=3+3|=4+4"})
	for _, payload := range []string{"=1+1", "+1+1", "-1+1", "@SUM(1)", "=SUM(1,2)", "=HYPERLINK(\"http://x\")", " =1+1", "\t=1+1", "-", "=", "-5"} {
		for _, between := range []string{"", "a,", "a;", "a\t", "a|", "a\n", "a;\"", "\","} {
			cell := between + payload
			_ = w.Write([]string{cell, "12", "70.35", "844.2", "One year", cell, cell, cell})
			_ = w.Write([]string{cell, "many", "70.35", "844.2", "One year", cell, cell, cell})
		}
	}
	w.Flush()
	return b.Bytes()
}
