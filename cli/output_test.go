package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fullDisk is a writer that fails like a full disk.
type fullDisk struct{}

var errFull = errors.New("no space left on device")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// commandOnFullDisk runs a command whose standard output cannot be written.
func commandOnFullDisk(t *testing.T, args ...string) (status int, messages string) {
	t.Helper()
	var stderr bytes.Buffer
	status = Slim().Run(t.Context(), args, Streams{strings.NewReader(""), fullDisk{}, &stderr})
	return status, stderr.String()
}

// TestOutputsDiskFull checks that no command succeeds if its output could not be written.
func TestOutputsDiskFull(t *testing.T) {
	const model = "testdata/forest/lightgbm/binary/model.txt"
	const matrix = "testdata/forest/lightgbm/binary/x.tsv"
	for _, args := range [][]string{
		{"score", "--model", "telecom", "testdata/samples/telecom_sample.csv"},
		{"score", "--model", "telecom", "testdata/samples/telecom_10k.csv"},
		{"validate", "--model", "telecom", "testdata/samples/telecom_sample.csv"},
		{"model", "inspect", "telecom"},
		{"model", "verify", "telecom"},
		{"model", "verify", model},
		{"model", "predict", "--kind", "raw", "--data", matrix, model},
	} {
		if status, messages := commandOnFullDisk(t, args...); status != ExitIO || strings.Count(messages, "\n") < 1 {
			t.Errorf("%v: status %d: %s", args, status, messages)
		}
	}
}

// TestOutputsWriteErrorLeavesNoFile checks that if one output cannot be created, no other output or temporary file is
// left.
func TestOutputsWriteErrorLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	out, nowhere := filepath.Join(dir, "out.csv"), filepath.Join(dir, "absent", "file")
	occupied := filepath.Join(dir, "occupied") // by a directory
	if err := os.Mkdir(occupied, 0o755); err != nil {
		t.Fatal(err)
	}
	file := readSample(t, "telecom_sample.csv")
	for _, args := range [][]string{
		{"score", "--out", nowhere},
		{"score", "--out", occupied},
		{"score", "--out", out, "--rejects", nowhere},
		{"score", "--out", out, "--summary", nowhere},
		{"validate", "--rejects", nowhere},
		{"validate", "--rejects", occupied},
		{"validate", "--model", "no-such-model"},
	} {
		if args[1] != "--model" {
			args = append(args, "--model", "telecom")
		}
		status, _, messages := command(t, file, append(args, "-")...)
		want := ExitIO
		if args[1] == "--model" {
			want = ExitNoInput
		}
		if status != want || !strings.Contains(messages, "millrace: ") {
			t.Errorf("%v: status %d: %s", args, status, messages)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%v: left behind %v (%v)", args, entries, err)
		}
		if entries, err = os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
			t.Errorf("%v: left beside %v (%v)", args, entries, err)
		}
	}
}

func TestModelErrors(t *testing.T) {
	const binary = "testdata/forest/lightgbm/binary/"
	damaged := filepath.Join(t.TempDir(), "model.txt")
	text, err := os.ReadFile(binary + "model.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), "long.csv")
	if err := os.WriteFile(long, bytes.Repeat([]byte("1"), matrixLineMax+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		want   string
		status int
	}{
		{[]string{"inspect", damaged}, "ERR-17", ExitData},
		{[]string{"verify", damaged}, "ERR-17", ExitData},
		{[]string{"inspect", "no-such-model"}, "neither a directory", ExitNoInput},
		{[]string{"verify", "no-such-model"}, "neither a directory", ExitNoInput},
		{[]string{"verify", t.TempDir()}, "bundle.yaml", ExitNoInput},
		{[]string{"predict", "--kind", "raw", "--data", "nowhere.csv", binary + "model.txt"}, "nowhere.csv", ExitNoInput},
		{[]string{"predict", "--kind", "raw", "--data", long, binary + "model.txt"}, "too long", ExitData},
		{[]string{"predict", "--kind", "guess", "--data", long, binary + "model.txt"}, "must be one of", ExitUsage},
		{
			[]string{
				"predict", "--kind", "contrib", "--data", "testdata/forest/lightgbm/linear_tree/x.tsv",
				"testdata/forest/lightgbm/linear_tree/model.txt",
			},
			"--kind contrib: model \"model.txt\": tree 1: scores of linear leaves of several features cannot be explained", ExitUsage,
		},
	} {
		status, _, messages := command(t, "", append([]string{"model"}, test.args...)...)
		if status != test.status || !strings.Contains(messages, test.want) {
			t.Errorf("%v: status %d: %q, want %q", test.args, status, messages, test.want)
		}
	}
}

// TestProgress checks the line on a terminal, at most five times a second, and that there is none in a log.
func TestProgress(t *testing.T) {
	half := func() *countedFile {
		c := &countedFile{Reader: strings.NewReader(strings.Repeat("x", 500)), size: 1000}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, test := range []struct {
		name     string
		terminal bool
		input    *countedFile
		want     *regexp.Regexp
	}{
		{"result on the same terminal", false, half(), regexp.MustCompile(`^$`)},
		{"pipe", true, nil, regexp.MustCompile(`^\r\x1b\[K10 rows  1 rows/s$`)},
		{"file", true, half(), regexp.MustCompile(`^\r\x1b\[K 50 %  10 rows  1 rows/s  10s left$`)},
	} {
		var out strings.Builder
		p := progress{out: &out, terminal: true, hidden: !test.terminal, input: test.input, begin: time.Now().Add(-10 * time.Second)}
		p.add(10)
		p.add(10)
		if got := out.String(); !test.want.MatchString(got) {
			t.Errorf("%s: %q", test.name, got)
		}
		out.Reset()
		p.shown = time.Now().Add(-progressInterval)
		p.add(1_000_000_000)
		if got := out.String(); test.terminal != strings.Contains(got, "1,000,000,020 rows") || strings.Contains(got, "\n") ||
			len(got) > lineWidth {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

// TestProgressNotInLogs checks that a log has no progress.
func TestProgressNotInLogs(t *testing.T) {
	var out strings.Builder
	p := progress{out: &out}
	if p.add(10); out.Len() > 0 || p.rows != 10 {
		t.Errorf("%q, %d rows", out.String(), p.rows)
	}
}

func TestIsTerminal(t *testing.T) {
	if isTerminal(&strings.Builder{}) {
		t.Error("a buffer is no terminal")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if isTerminal(file) {
		t.Error("a file is no terminal")
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if isTerminal(null) || isTerminal(printer{null}) {
		t.Error("the null device is no terminal")
	}
}
