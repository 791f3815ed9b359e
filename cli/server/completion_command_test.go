package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletion completes command lines in bash with the printed script.
func TestCompletion(t *testing.T) {
	script := completion(t, "bash")
	for line, want := range map[string]string{
		"millrace sc":                         "score",
		"millrace model ":                     "inspect verify predict push list alias rollback default retire withdraw",
		"millrace model verify ":              "", // names of files
		"millrace score --expl":               "--explain",
		"millrace score --model x --explain ": "all at_risk none",
		"millrace score --explain = at":       "at_risk",
		"millrace score --out ":               "",
		"millrace completion ":                "bash zsh fish",
		"millrace jobs retry --dry":           "--dry-run",
	} {
		program := "source " + script + `; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; echo "${COMPREPLY[*]}"`
		args := append([]string{"-c", program, "bash"}, strings.Split(line, " ")...)
		out, err := exec.Command("bash", args...).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q: %q, want %q (%v)", line, out, want, err)
		}
	}
}

// completion writes the script of a shell to a file and returns its name.
func completion(t *testing.T, shell string) string {
	t.Helper()
	status, script, messages := run(t, t.Context(), "", "completion", shell)
	if status != 0 {
		t.Fatalf("%s: status %d: %s", shell, status, messages)
	}
	file := filepath.Join(t.TempDir(), shell)
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCompletionScripts checks that all shells that are installed can read their script, and that it has every command.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		file := completion(t, shell)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"millrace/model/verify", "millrace/store/orphans", "max-rejected-percent", "at_risk"} {
			if !strings.Contains(string(text), name) {
				t.Errorf("%s: no %s", shell, name)
			}
		}
		if program, err := exec.LookPath(shell); err == nil {
			if out, err := exec.Command(program, "-n", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", shell, err, out)
			}
		}
	}
	if status, _, _ := run(t, t.Context(), "", "completion", "tcsh"); status != 64 {
		t.Errorf("another shell: status %d", status)
	}
}
