package server

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/retainwise/millrace/cli"
)

// outcome is all that a caller gets of a command.
type outcome struct {
	status        int
	out, messages string
	files         string // names and contents of a directory that it wrote to
}

// speed matches the only words of a report that differ from run to run.
var speed = regexp.MustCompile(`in \S+ \(\d+ rows/s\)`)

// runIn runs a command line of a program in which DIR stands for a directory of its own.
func runIn(t *testing.T, p cli.Program, stdin string, args []string) outcome {
	t.Helper()
	dir := t.TempDir()
	here := make([]string, len(args))
	for i, arg := range args {
		here[i] = strings.ReplaceAll(arg, "DIR", dir)
	}
	var out, messages bytes.Buffer
	o := outcome{status: p.Run(t.Context(), here, cli.Streams{In: strings.NewReader(stdin), Out: &out, Err: &messages})}
	plain := strings.NewReplacer(dir, "DIR")
	o.out, o.messages = plain.Replace(out.String()), speed.ReplaceAllString(plain.Replace(messages.String()), "in TIME")
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		o.files += "\n== " + name + "\n" + string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// inBoth runs a command line in both programs, on one day: a bundle has the date that it was made.
func inBoth(t *testing.T, line []string) (full, slim outcome) {
	t.Helper()
	for {
		day := time.Now().YearDay()
		full, slim = runIn(t, Full(), "", line), runIn(t, cli.Slim(), "", line)
		if time.Now().YearDay() == day {
			return full, slim
		}
	}
}

// TestSlimEqualsFull runs command lines of all commands that the slim program has in both programs, on good files and on
// every bad one: status, output, messages and written files are the same, byte for byte.
func TestSlimEqualsFull(t *testing.T) {
	const (
		good  = "testdata/samples/telecom_sample.csv"
		bare  = "testdata/models/xgboost-3.4.1/text/"
		light = "testdata/forest/lightgbm/binary/"
	)
	lines := [][]string{
		{"version"},
		{"explain"},
		{"explain", "1653"},
		{"explain", "ERR-9999"},
		{"model", "inspect", "telecom"},
		{"model", "inspect", good},
		{"model", "verify", light + "model.txt"},
		{"model", "verify", "absent"},
		{"model", "predict", "--kind", "raw", "--data", light + "x.tsv", light + "model.txt"},
		{"model", "predict", "--kind", "raw", "--data", good, light + "model.txt"},
		{"bundle", "create", bare + "model.ubj", "--data", bare + "rows.csv", "--out", "DIR/mine", "--name", "mine", "--python", ""},
		{"bundle", "create", bare + "model.ubj", "--data", bare + "rows.csv", "--out", "DIR", "--python", ""},
		{"bundle", "check", "engine/baseline/saas"},
		{"bundle", "check", "absent"},
		{"score", "--model", "telecom", "-"},
		{"score", "--model", "telecom", "absent.csv"},
		{"score", "--model", "telecom", "a.csv", "b.csv"},
		{"score", "--model", "telecom", "--out", "DIR/none/x", good},
		{"score", "--model", "telecom", "--out", "DIR/scored.csv", "--changes-from", good, good},
		{"score", "--model", light + "model.txt", "--bands", "low=0.5,high", good},
		{"score", "--model", "telecom", "--max-rejected", "0", "testdata/samples/bad/number_text.csv"},
		{"score", "--errors", "json", "--model", "telecom", "testdata/samples/bad/missing_column.csv"},
		{"score", "--no-such-flag"},
	}
	bad, err := filepath.Glob("testdata/samples/bad/*.*")
	if err != nil || len(bad) < 40 {
		t.Fatalf("%d bad files (%v)", len(bad), err)
	}
	for _, file := range append(bad, good) {
		lines = append(lines,
			[]string{"score", "--model", "telecom", "--explain", "at_risk", "--out", "DIR/scored.csv", "--rejects", "DIR/rejects.csv", "--summary", "DIR/summary.json", file},
			[]string{"validate", "--model", "telecom", "--rejects", "DIR/rejects.csv", file})
	}
	statuses := map[int]bool{}
	for _, line := range lines {
		full, slim := inBoth(t, line)
		if slim != full {
			t.Errorf("%q: status %d, want %d\n%s%s\nwant\n%s%s", line, slim.status, full.status, slim.out, slim.messages, full.out, full.messages)
		}
		statuses[full.status] = true
	}
	for _, status := range []int{cli.ExitDone, cli.ExitUsage, cli.ExitData, cli.ExitNoInput, cli.ExitIO} {
		if !statuses[status] {
			t.Errorf("no line ends with status %d", status)
		}
	}
}

// commandsOf returns the names of all commands of a program, such as "model verify".
func commandsOf(t *testing.T, p cli.Program) map[string]bool {
	t.Helper()
	parser, err := kong.New(p.Commands)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, leaf := range parser.Model.Leaves(true) {
		var path []string
		for n := leaf; n.Type != kong.ApplicationNode; n = n.Parent {
			path = append([]string{n.Name}, path...)
		}
		names[strings.Join(path, " ")] = true
	}
	return names
}

// TestSlimRefusesTheOthers checks that the slim program has no command or flag of its own, the same help for those it has,
// and a sentence about every other.
func TestSlimRefusesTheOthers(t *testing.T) {
	full, slim := commandsOf(t, Full()), commandsOf(t, cli.Slim())
	for name := range slim {
		if name == "help" { // its own is the list of commands
			continue
		}
		help := append(strings.Fields(name), "--help")
		if got, want := runIn(t, cli.Slim(), "", help), runIn(t, Full(), "", help); !full[name] || got != want || got.status != 0 {
			t.Errorf("%s: its help differs:\n%s\nwant\n%s", name, got.out, want.out)
		}
	}
	if !full["serve"] || !full["model withdraw"] || slim["serve"] || !slim["score"] || !slim["model inspect"] {
		t.Fatalf("commands: %v, slim: %v", full, slim)
	}
	for name := range full {
		if slim[name] {
			continue
		}
		for _, line := range []string{name, name + " x", "help " + name} {
			o := runIn(t, cli.Slim(), "", strings.Fields(line))
			if o.status != cli.ExitUsage || o.out != "" || !strings.Contains(o.messages, "slim program") ||
				!strings.Contains(o.messages, "the full millrace") || strings.Count(o.messages, "\n") != 1 {
				t.Errorf("%s: status %d: %s", line, o.status, o.messages)
			}
		}
	}
}
