package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs a command line and returns what it printed.
func command(t *testing.T, stdin string, args ...string) (status int, out, messages string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = runCommand(t.Context(), args, streams{strings.NewReader(stdin), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

func TestScoreCommandReadsAndWritesStreamsAndFiles(t *testing.T) {
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

func TestScoreCommandLeavesNoFileBehindAFailure(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "scored.csv")
	status, _, messages := command(t, "customerID,tenure\na,1\n", "score", "--model", "telecom", "--out", out, "-")
	want := "ERR-1004: Missing required columns 'MonthlyCharges', 'TotalCharges' and 'Contract'."
	if status != 1 || !strings.Contains(messages, want) || strings.Count(messages, "\n") != 1 {
		t.Errorf("status %d: %q", status, messages)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}

func TestScoreCommandSaysWhatIsWrong(t *testing.T) {
	header := "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n"
	tests := []struct{ name, input, code string }{
		{"empty", "", "ERR-1005"},
		{"header only", header, "ERR-1005"},
		{"not text", "PK\x03\x04\x00\x00\x00\x00\x00\x00", "ERR-1007"},
		{"unclosed quote", header + "\"a,1,2,3,One year\n", "ERR-1009"},
		{"twice", "customerID,tenure,tenure,MonthlyCharges,TotalCharges,Contract\na,1,1,2,3,One year\n", "ERR-1006"},
		{"damaged", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03garbage", "ERR-1012"},
	}
	for _, test := range tests {
		status, _, messages := command(t, test.input, "score", "--model", "telecom", "-")
		if status != 1 || !strings.Contains(messages, test.code) || strings.Count(messages, "\n") != 1 {
			t.Errorf("%s: status %d: %q", test.name, status, messages)
		}
	}
	for _, args := range [][]string{
		{"score", "--model", "telecom", "no-such-file.csv"},
		{"score", "--model", "no-such-model", "-"},
		{"score", "--model", "telecom", "--scorer", "guess", "-"},
		{"score"},
		{"no-such-command"},
		{"model", "verify", "README.md"},
		{"model", "predict", "--kind", "raw", "--data", "README.md", "engine/baseline/telecom/model.txt"},
	} {
		status, _, messages := command(t, header+"a,1,2,3,One year\n", args...)
		if status != 1 || strings.Count(messages, "\n") != 1 {
			t.Errorf("%q: status %d: %q", args, status, messages)
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
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

// predict prints bit for bit what the training library gives.
func TestPredictEqualsTheTrainingLibrary(t *testing.T) {
	text, err := os.ReadFile("testdata/forest/index.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Log(len(text))
}
