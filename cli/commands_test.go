package cli

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// command runs a command line and returns what it printed.
func command(t *testing.T, stdin string, args ...string) (status int, out, messages string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = Slim().Run(t.Context(), args, Streams{strings.NewReader(stdin), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

func TestScoreStreamsAndFiles(t *testing.T) {
	file := readSample(t, "telecom_sample.csv")
	dir := t.TempDir()
	out, rejects := filepath.Join(dir, "scored.csv"), filepath.Join(dir, "rejects.csv")
	status, streamed, messages := command(t, file, "score", "--model", "telecom", "-")
	if status != 0 || !strings.Contains(messages, "0 rejected") {
		t.Fatalf("status %d: %s", status, messages)
	}
	in := filepath.Join(dir, "in.csv")
	if err := os.WriteFile(in, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"telecom", "engine/baseline/telecom"} {
		status, printed, messages := command(t, "", "score", "--model", model, "--out", out, "--rejects", rejects, in)
		if status != 0 || printed != "" {
			t.Fatalf("status %d: %s", status, messages)
		}
		written, err := os.ReadFile(out)
		if err != nil || string(written) != streamed {
			t.Errorf("%s: the file differs from the stream (%v)", model, err)
		}
		refused, err := os.ReadFile(rejects)
		if err != nil || strings.Count(string(refused), "\n") != 1 {
			t.Errorf("%s: rejects %q (%v)", model, refused, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}

func TestScoreFailureLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "scored.csv")
	status, _, messages := command(t, "customerID,tenure\na,1\n", "score", "--model", "telecom", "--out", out, "-")
	want := "ERR-1004: Missing required columns 'Contract', 'Monthly Charges' and 'Total Charges'. Please ensure your CSV " +
		"contains these columns."
	if status != ExitData || !strings.Contains(messages, want) || !strings.HasSuffix(messages, "\n  More: millrace explain ERR-1004\n") {
		t.Errorf("status %d: %q", status, messages)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}

func TestScoreErrors(t *testing.T) {
	header := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n"
	tests := []struct{ name, input, code string }{
		{"empty", "", "ERR-1005"},
		{"header only", header, "ERR-1005"},
		{"not text", "PK\x03\x04\x00\x00\x00\x00\x00\x00", "ERR-1007"},
		{"no CSV", "<html>\n", "ERR-1003"},
		{"misspelt", strings.Replace(header, "tenure", "tenur", 1) + "a,1,2,3,One year\n", "'tenur' looks like 'Tenure'"},
		{"unclosed quote", header + "\"a,1,2,3,One year\n", "ERR-1009"},
		{"twice", "customerID,tenure,tenure,MonthlyCharges,TotalCharges,Contract\na,1,1,2,3,One year\n", "ERR-1006"},
		{"damaged", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03garbage", "ERR-1012"},
	}
	for _, test := range tests {
		status, _, messages := command(t, test.input, "score", "--model", "telecom", "-")
		if status != ExitData || !strings.Contains(messages, test.code) || strings.Count(messages, "\nmillrace") != 0 {
			t.Errorf("%s: status %d: %q", test.name, status, messages)
		}
	}
}

func TestHelpExitsWithZero(t *testing.T) {
	status, out, _ := command(t, "", "--help")
	if status != 0 || !strings.Contains(out, "score") {
		t.Errorf("status %d: %s", status, out)
	}
}

func TestModelCommands(t *testing.T) {
	for _, model := range []string{"telecom", "saas", "engine/baseline/saas", "engine/baseline/telecom/model.txt"} {
		status, out, messages := command(t, "", "model", "inspect", model)
		var description map[string]any
		if status != 0 || json.Unmarshal([]byte(out), &description) != nil || description["kernel"] == "" {
			t.Errorf("inspect %s: status %d: %s%s", model, status, out, messages)
		}
		status, out, messages = command(t, "", "model", "verify", model)
		if status != 0 || !strings.Contains(out, "ok") {
			t.Errorf("verify %s: status %d: %s%s", model, status, out, messages)
		}
	}
}

// modelCase is an entry of testdata/forest/index.json: a model with its training library's scores of some rows.
type modelCase struct {
	Name    string         `json:"name"`
	Models  []string       `json:"models"`
	Outputs map[string]int `json:"outputs"`
	Refused string         `json:"refused"`
	Is      string         `json:"probability_is"`
}

func modelCases(t *testing.T) []modelCase {
	t.Helper()
	text, err := os.ReadFile("testdata/forest/index.json")
	if err != nil {
		t.Fatal(err)
	}
	var index struct{ Cases []modelCase }
	if err := json.Unmarshal(text, &index); err != nil || len(index.Cases) == 0 {
		t.Fatalf("%d cases (%v)", len(index.Cases), err)
	}
	return index.Cases
}

// TestPredictEqualsTheTrainingLibrary compares model predict with the training library: raw scores and leaves to the
// last bit, probabilities to 1e-6, contributions (XGBoost's are float32) to 2e-6.
func TestPredictEqualsTheTrainingLibrary(t *testing.T) {
	tolerances := map[string]float64{"raw": 0, "leaf": 0, "probability": 1e-6, "contrib": 2e-6}
	for _, c := range modelCases(t) {
		dir := filepath.Join("testdata/forest", c.Name)
		for _, model := range c.Models {
			for kind, tolerance := range tolerances {
				args := []string{"model", "predict", "--kind", kind, "--data", filepath.Join(dir, "x.tsv"), filepath.Join(dir, model)}
				if c.Refused != "" {
					args[5] = "README.md" // the model is refused before the data is read
				} else if c.Outputs[kind] == 0 || kind == "probability" && c.Is == "class" {
					continue
				}
				status, out, messages := command(t, "", args...)
				if c.Refused != "" {
					if status != ExitData || !strings.Contains(messages, "ERR-1703") {
						t.Errorf("%s/%s: status %d: %s", c.Name, model, status, messages)
					}
					continue
				}
				if status != 0 {
					t.Errorf("%s/%s: %s", c.Name, model, messages)
					continue
				}
				want, err := os.ReadFile(filepath.Join(dir, kind+".tsv"))
				if err != nil {
					t.Fatal(err)
				}
				sameTable(t, c.Name+"/"+model+" "+kind, out, string(want), tolerance)
				if kind == "contrib" && strings.HasPrefix(c.Name, "lightgbm/") { // XGBoost's own are float32
					_, out, _ = command(t, "", append(args, "--exact")...)
					sameTable(t, c.Name+"/"+model+" exact", out, string(want), 1e-9)
				}
			}
		}
	}
}

// sameTable compares the first rows of got with want.
func sameTable(t *testing.T, name, got, want string, tolerance float64) {
	t.Helper()
	gotLines, wantLines := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
	if len(gotLines) < len(wantLines) {
		t.Errorf("%s: %d rows, want %d", name, len(gotLines), len(wantLines))
		return
	}
	for i, line := range wantLines {
		g, w := strings.Split(gotLines[i], "\t"), strings.Split(line, "\t")
		if len(g) != len(w) {
			t.Errorf("%s: row %d: %d values, want %d", name, i+1, len(g), len(w))
			return
		}
		for j := range w {
			if x, y := number(t, g[j]), number(t, w[j]); x != y && !(math.Abs(x-y) <= tolerance*max(1, math.Abs(y))) {
				t.Errorf("%s: row %d: %s, want %s", name, i+1, g[j], w[j])
				return
			}
		}
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestPredictReadsMatrices(t *testing.T) {
	model := "testdata/forest/lightgbm/binary/model.txt"
	rows, err := os.ReadFile("testdata/forest/lightgbm/binary/x.tsv")
	if err != nil {
		t.Fatal(err)
	}
	plain := string(rows)
	_, want, _ := command(t, "", "model", "predict", "--kind", "raw", "--data", "testdata/forest/lightgbm/binary/x.tsv", model)
	commas := strings.ReplaceAll(strings.ReplaceAll(plain, "\t", ","), "nan", "")
	labelled := "a,b,c,d,e,label\r\n" + strings.ReplaceAll(commas, "\n", ",1\r\n")
	for name, test := range map[string]struct {
		text string
		args []string
	}{
		"commas and blanks":      {commas, nil},
		"header, label and CRLF": {labelled, []string{"--header", "--label-column", "5"}},
	} {
		file := filepath.Join(t.TempDir(), "x.csv")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"model", "predict", "--kind", "raw", "--data", file}, test.args...)
		if status, got, messages := command(t, "", append(args, model)...); status != 0 || got != want {
			t.Errorf("%s: status %d: %s", name, status, messages)
		}
	}
	for name, text := range map[string]string{"too few": "1,2\n", "too many": "1,2,3,4,5,6\n", "text": "1,2,x,4,5\n"} {
		file := filepath.Join(t.TempDir(), "x.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, _, messages := command(t, "", "model", "predict", "--kind", "raw", "--data", file, model)
		if status != ExitData || !strings.Contains(messages, "line 1") {
			t.Errorf("%s: status %d: %s", name, status, messages)
		}
	}
}

func TestScoreStopsAtErrorBudget(t *testing.T) {
	file := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\na,1,2,3,One year\nb,many,2,3,One year\n"
	if status, _, messages := command(t, file, "score", "--model", "telecom", "--max-rejected", "1", "-"); status != 0 {
		t.Errorf("within the budget: status %d: %s", status, messages)
	}
	dir := t.TempDir()
	status, _, messages := command(t, file, "score", "--model", "telecom", "--max-rejected", "0",
		"--out", filepath.Join(dir, "out.csv"), "-")
	want := "ERR-1107: 1 of the first 2 rows were rejected, more than the 0 allowed."
	if status != ExitData || !strings.Contains(messages, want) {
		t.Errorf("status %d: %s", status, messages)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
	file += strings.Repeat("c,1,20,30,One year\n", 1000)
	status, _, messages = command(t, file, "score", "--model", "telecom", "--max-rejected-percent", "0.05", "-")
	if status != ExitData || !strings.Contains(messages, "0.05 %") {
		t.Errorf("percentage: status %d: %s", status, messages)
	}
}

func TestScoreExplainModes(t *testing.T) {
	file := readSample(t, "telecom_sample.csv")
	sentences := map[string]int{}
	for _, which := range []string{"all", "at_risk", "none"} {
		status, out, messages := command(t, file, "score", "--model", "telecom", "--explain", which, "-")
		if status != 0 {
			t.Fatalf("%s: status %d: %s", which, status, messages)
		}
		sentences[which] = strings.Count(out, " risk (")
	}
	if sentences["all"] != 20 || sentences["none"] != 0 || sentences["at_risk"] == 0 || sentences["at_risk"] >= 20 {
		t.Errorf("explained rows: %v", sentences)
	}
}
