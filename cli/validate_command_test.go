package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const validateHeader = "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n"

func TestValidateReportsErrors(t *testing.T) {
	file := validateHeader + "a,1,2,3,One year\nb,many,2,3,One year\na,1,2,,Weekly\n\nd,1,2\n"
	rejects := filepath.Join(t.TempDir(), "rejects.csv")
	status, out, messages := command(t, file, "validate", "--model", "telecom", "--rejects", rejects, "-")
	if status != ExitData || !strings.Contains(messages, "ERR-1107: 2 of the first 4 rows were rejected") {
		t.Errorf("status %d: %s", status, messages)
	}
	for _, want := range []string{
		"row 2 (line 3): ERR-1602 The value in column 'tenure' cannot be used.", "row 4 (line 6): ERR-1601",
		"Rejected: 2 of 4 rows (50.0 %)\n  ERR-1602 The cell is not a number. Write",
		"\n           1   25.0 %  tenure\n", "4 rows: 2 would be scored, 2 rejected\n",
		"\n  ERR-1653 Column 'Contract': 50 % of the rows (1 of 2) have a value that the\n  model",
		"\n  ERR-1655 Column 'customerID': 50 % of the rows (1 of 2)",
		"not in the file: gender, SeniorCitizen", "one value only",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	written, err := os.ReadFile(rejects)
	if err != nil || strings.Count(string(written), "\n") != 3 || !strings.HasPrefix(string(written), "customerID,") {
		t.Errorf("rejects %q (%v)", written, err)
	}
	for _, args := range [][]string{{"--max-rejected", "2"}, {"--max-rejected-percent", "1"}} {
		args = append([]string{"validate", "--model", "telecom", "-"}, args...)
		if status, _, messages := command(t, file, args...); status != 0 {
			t.Errorf("%v: status %d: %s", args, status, messages)
		}
	}
}

func TestValidateAcceptsGoodFile(t *testing.T) {
	status, out, messages := command(t, "", "validate", "--model", "telecom", "testdata/samples/telecom_10k.csv")
	if status != 0 || messages != "" || !strings.HasPrefix(out, "10000 rows: 10000 would be scored, 0 rejected\n") {
		t.Errorf("status %d: %s%s", status, out, messages)
	}
	many := validateHeader + strings.Repeat("b,many,2,3,One year\n", 150)
	if _, out, _ = command(t, many, "validate", "--model", "telecom", "-"); !strings.Contains(out, "\nand 50 more\n") {
		t.Errorf("150 rejected rows:\n%s", out)
	}
}

// TestValidateMatchesScore checks that validate reports the same error or the same rejects as score for every golden bad
// file.
func TestValidateMatchesScore(t *testing.T) {
	files, err := filepath.Glob("testdata/samples/bad/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, file := range append(files, "testdata/samples/saas_sample.csv", "no-such-file.csv") {
		dir := t.TempDir()
		predicted, scored := filepath.Join(dir, "predicted.csv"), filepath.Join(dir, "scored.csv")
		status, _, said := command(t, "", "validate", "--model", "telecom", "--max-rejected", "1000000", "--rejects",
			predicted, file)
		done, _, says := command(t, "", "score", "--model", "telecom", "--out", filepath.Join(dir, "out.csv"),
			"--rejects", scored, "--allow-rejects", file)
		if status != done {
			t.Errorf("%s: validate ends with %d, score with %d: %s%s", file, status, done, said, says)
			continue
		}
		if status != 0 {
			// Score names the chunk where it stopped; the code and its sentence are the same.
			if code, _, _ := strings.Cut(says, ": "); !strings.HasPrefix(said, code) || len(said) < len(code)+10 {
				t.Errorf("%s: validate says %q, score %q", file, said, says)
			}
			continue
		}
		want, err := os.ReadFile(scored)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(predicted); err != nil || string(got) != string(want) {
			t.Errorf("%s: rejects %q, want %q (%v)", file, got, want, err)
		}
	}
}
