package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIterationsAreAChoice: without one all count, and a warning says so.
func TestIterationsAreAChoice(t *testing.T) {
	best := "testdata/models/xgboost-3.4.1/early_best/"
	for _, tt := range []struct {
		args   []string
		warned bool
	}{{nil, true}, {[]string{"--iterations", "all"}, false}, {[]string{"--iterations", "best"}, false}} {
		for _, args := range [][]string{
			{"score", "--explain", "none", "--model", best + "model.ubj", best + "rows.csv"},
			{"model", "predict", "--kind", "raw", "--data", best + "x.tsv", best + "model.ubj"},
		} {
			status, _, messages := command(t, "", append(args, tt.args...)...)
			if status != 0 || strings.Contains(messages, "warning: all ") != tt.warned {
				t.Errorf("%v %v: status %d: %s", args[:2], tt.args, status, messages)
			}
		}
	}
	status, _, messages := command(t, "", "score", "--model", "telecom", "--iterations", "best", best+"rows.csv")
	if status == 0 || !strings.Contains(messages, "bundle.yaml") {
		t.Errorf("of a bundle: status %d: %s", status, messages)
	}
}

// TestVerifyComparesABareModel names the row that differs.
func TestVerifyComparesABareModel(t *testing.T) {
	dir := "testdata/models/lightgbm-4.7.0/bool/"
	if status, _, messages := command(t, "", "model", "verify", "--golden", dir+"rows.csv", dir+"model.txt"); status != 0 {
		t.Errorf("status %d: %s", status, messages)
	}
	rows, err := os.ReadFile(dir + "rows.csv")
	if err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.csv")
	text := strings.Replace(string(rows), ",0.908067086963032\n", ",0.25\n", 1)
	if err := os.WriteFile(wrong, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, messages := command(t, "", "model", "verify", "--golden", wrong, dir+"model.txt")
	if status != ExitData || !strings.Contains(messages, "row 2: _probability is 0.25 in the file, 0.908067086963") {
		t.Errorf("status %d: %s", status, messages)
	}
}
