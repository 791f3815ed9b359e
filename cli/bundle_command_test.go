package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestBundleFromModelFileAndTable makes a bundle, checks it, and scores with it as with the bare model file.
func TestBundleFromModelFileAndTable(t *testing.T) {
	dir := "testdata/models/xgboost-3.4.1/text/"
	out := filepath.Join(t.TempDir(), "models", "mine")
	status, printed, messages := command(t, "", "bundle", "create", dir+"model.ubj", "--data", dir+"rows.csv", "--out", out,
		"--name", "mine", "--python", "")
	if status != 0 {
		t.Fatalf("status %d: %s", status, messages)
	}
	for _, want := range []string{"verified: self", "Assumed", "give one with --id", "millrace score --model " + out} {
		if !strings.Contains(printed, want) {
			t.Errorf("it does not print %q:\n%s", want, printed)
		}
	}
	for _, name := range []string{"bundle.yaml", "golden.csv", "manifest.sha256", "model.ubj"} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Mode().Perm()&0o044 == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	_, bare, _ := command(t, "", "score", "--explain", "none", "--model", dir+"model.ubj", dir+"rows.csv")
	if status, scored, messages := command(t, "", "score", "--explain", "none", "--model", out, dir+"rows.csv"); status != 0 || scored != bare {
		t.Errorf("the bundle scores differently from its model file: status %d: %s", status, messages)
	}
	if status, printed, _ := command(t, "", "bundle", "check", out); status != 0 || !strings.Contains(printed, "id: missing") {
		t.Errorf("check: status %d: %s", status, printed)
	}
	if _, printed, _ := command(t, "", "model", "verify", out); !strings.Contains(printed, "verified: self") {
		t.Errorf("verify prints %s", printed)
	}
	var described modelDescription
	_, printed, _ = command(t, "", "model", "inspect", out)
	if err := json.Unmarshal([]byte(printed), &described); err != nil || described.Verified != "self" || len(described.Features) != 4 {
		t.Errorf("inspect: %v: %s", err, printed)
	}
	if k := described.Features[2]; k.Name != "k" || k.Type != "category" || len(k.Categories) < 2 || k.Importance <= 0 {
		t.Errorf("inspect of a category: %+v", k)
	}
}

// TestBundleCreateLeavesNothingBehind: a bundle that cannot be made, or whose place is taken, is an error with a way out.
func TestBundleCreateLeavesNothingBehind(t *testing.T) {
	const dir = "testdata/models/xgboost-2.1.4/text/" // names no categories
	parent := t.TempDir()
	taken := filepath.Join(parent, "taken")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, ExitData, "choose sorted categories"},
		{[]string{"--out", taken}, ExitUsage, "of this name already"},
		{[]string{"--name", "My Model"}, ExitUsage, "lower case letters"},
		{[]string{"--bands", "low=2,high"}, ExitUsage, "probability between 0 and 1"},
		{[]string{"--categories", "k"}, ExitUsage, "plan=basic,pro,team"},
		{[]string{"--holdout", dir + "rows.csv"}, ExitUsage, "--holdout needs --label"},
		{[]string{"--out", filepath.Join(parent, "no", "such", "where")}, ExitNoInput, "no such file"},
		{[]string{"--out", filepath.Join(parent, "models", "new")}, ExitData, "choose sorted categories"},
		{[]string{"--decimal", ";"}, ExitUsage, "--decimal"},
	} {
		args := append([]string{"bundle", "create", dir + "model.ubj", "--data", dir + "rows.csv", "--python", ""}, tt.args...)
		if !strings.Contains(strings.Join(tt.args, " "), "--out") {
			args = append(args, "--out", filepath.Join(parent, "new"))
		}
		status, _, messages := command(t, "", args...)
		if status != tt.status || !strings.Contains(strings.Join(strings.Fields(messages), " "), tt.want) {
			t.Errorf("%v: status %d, want %d with %q: %s", tt.args, status, tt.status, tt.want, messages)
		}
	}
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	for value, sorted := range map[string]bool{"sorted": true, "k=DSL,Fiber,No": false} {
		out := filepath.Join(parent, "made-"+value[:1])
		status, printed, messages := command(t, "", "bundle", "create", dir+"model.ubj", "--data", dir+"rows.csv", "--python",
			"no-such-python", "--out", out, "--categories", value)
		if status != 0 || strings.Contains(printed, "sorted order") != sorted {
			t.Errorf("--categories %s: status %d: %s%s", value, status, printed, messages)
		}
	}
}

// TestBundleVerifiedByPython runs programs in place of Python with LightGBM.
func TestBundleVerifiedByPython(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs are shell scripts")
	}
	const dir = "testdata/models/lightgbm-4.7.0/numbers/"
	for text, want := range map[string]string{
		`echo "ModuleNotFoundError: No module named 'lightgbm'" >&2; exit 1`: "No module named 'lightgbm'",
		`true`:   "read the answer of",
		`exit 3`: "exit status 3",
		`echo '{"library":"lightgbm 9","raw":[1],"probability":[1]}'`: "lightgbm 9 scores 1 of",
	} {
		python := filepath.Join(t.TempDir(), "python")
		if err := os.WriteFile(python, []byte("#!/bin/sh\ncat >/dev/null\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		status, printed, messages := command(t, "", "bundle", "create", dir+"model.txt", "--data", dir+"rows.csv", "--python", python,
			"--out", filepath.Join(t.TempDir(), "new"))
		if words := strings.Join(strings.Fields(printed), " "); status != 0 || !strings.Contains(words, want) {
			t.Errorf("%s: status %d, want %q: %s%s", text, status, want, printed, messages)
		}
	}
}

// TestBundleWithFacts: a program that has the model says what its file does not, and its golden rows are compared.
func TestBundleWithFacts(t *testing.T) {
	const dir = "testdata/models/xgboost-2.1.4/text/" // names no categories
	golden := "x,z,k,flag,_raw,_probability\n,11.79,DSL,0,-2.2441232204437256,0.09585759043693542\n"
	facts := `{"categories": {"k": ["DSL", "Fiber optic", "no"]}, "golden": "golden.csv", "golden_by": "xgboost 2.1.4",
		"columns": {"k": {"not_empty": true, "reject_unknown": true}}}`
	for _, tt := range []struct {
		facts, golden string
		status        int
		want          string
	}{
		{facts, golden, 0, "score as xgboost 2.1.4 scores them"},
		{facts, strings.Replace(golden, "0.0958", "0.0858", 1), ExitData, "golden rows score differently"},
		{facts, "x,z,k,flag\n", ExitData, "there are none"},
		{facts, "x,z,k\n1,2,DSL\n", ExitData, "_raw and _probability"},
		{facts, strings.Replace(golden, "-2.24", "two", 1), ExitData, "_raw is no number"},
		{strings.Replace(facts, "golden_by", "golden_buy", 1), golden, ExitUsage, "golden_buy"},
		{strings.Replace(facts, "golden.csv", "gold.csv", 1), golden, ExitNoInput, "gold.csv"},
		{`{"calibration": {"method": "isotonic", "x": [0.1, 0.9], "y": [0.2]}, ` + facts[1:], golden, ExitData, "isotonic takes as many x as y"},
	} {
		folder := t.TempDir()
		for name, text := range map[string]string{"facts.json": tt.facts, "golden.csv": tt.golden} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out := filepath.Join(folder, "new")
		status, printed, messages := command(t, "", "bundle", "create", dir+"model.ubj", "--data", dir+"rows.csv", "--name", "facts",
			"--out", out, "--facts", filepath.Join(folder, "facts.json"))
		if words := strings.Join(strings.Fields(printed+messages), " "); status != tt.status || !strings.Contains(words, tt.want) {
			t.Errorf("status %d, want %d with %q: %s", status, tt.status, tt.want, words)
		}
		if status != 0 {
			continue
		}
		text, err := os.ReadFile(filepath.Join(out, "bundle.yaml"))
		if err != nil || !strings.Contains(string(text), "not_empty: true\n    unknown: reject") {
			t.Errorf("%v: bundle.yaml does not refuse what the model's steps refuse:\n%s", err, text)
		}
	}
}
