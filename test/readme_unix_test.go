//go:build unix

package test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/storetest"
)

// shownAPI is the address in the commands of the pages. The tests' servers listen on other ports.
const shownAPI = "http://127.0.0.1:8080"

// commandBlocks returns the blocks of shell commands of a page, in order.
func commandBlocks(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(text, -1) {
		blocks = append(blocks, string(found[1]))
	}
	if len(blocks) < 2 {
		t.Fatalf("%s has %d blocks of commands", page, len(blocks))
	}
	return blocks
}

// follow runs the line that sets the token, and then blocks, in one shell, as if pasted into a
// terminal. It fails at the first command that does not succeed, which the trace shows last.
func follow(t *testing.T, dir, api, token string, blocks ...string) {
	t.Helper()
	script := token + "\nset -x\n" + strings.ReplaceAll(strings.Join(blocks, "\n"), shownAPI, api)
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	command.Dir = dir
	command.Env = append(bareEnvironment(), "PS4=$ ")
	if trace, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v after:\n%s", err, regexp.MustCompile(`Bearer [\w.-]+`).ReplaceAll(trace, []byte("Bearer …")))
	}
}

// bareEnvironment is the environment without the settings of millrace and of its parts.
func bareEnvironment() []string {
	settings := regexp.MustCompile(`^(MILLRACE|DATABASE|LOADER|MIGRATE|S3|SQS|AWS|AUTH|TLS|WEBHOOK|CORS|MAKE|MFLAGS)`)
	return slices.DeleteFunc(os.Environ(), settings.MatchString)
}

// TestReadmeRunsAsPrinted follows README.md in a fresh checkout: each command must succeed, leave its files, and leave
// nothing that git would add.
func TestReadmeRunsAsPrinted(t *testing.T) {
	dir := freshCheckout(t)
	blocks := commandBlocks(t, "README.md")
	first := startServing(t, dir, blocks[0], "Ctrl-C")
	own := ownModel(t)
	own[0].run(t, dir)
	follow(t, dir, first.api, first.token, blocks[1:]...)
	for _, name := range []string{"scored.csv", "downloaded.csv"} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Count(string(file), "\n") != 10_001 {
			t.Errorf("%s: %v, or not a line for each of the 10,000 customers", name, err)
		}
	}
	second := startServing(t, dir, own[1].line, "export MILLRACE_TOKEN")
	own[1].wantOutput(t, strings.ReplaceAll(strings.Join(second.printed, "\n"), second.api, shownAPI))
	follow(t, dir, second.api, second.token, scoreBySecond)
	served, err := os.ReadFile(filepath.Join(dir, "downloaded.csv"))
	local, err2 := os.ReadFile(filepath.Join(dir, "mine.csv"))
	if err != nil || err2 != nil || string(served) != string(local) || !strings.Contains(string(served), "churn_probability") {
		t.Errorf("the served model scores %q, the bundle in the directory %q (%v, %v)", served, local, err, err2)
	}
	if left := git(t, dir, "status", "--porcelain"); left != "" {
		t.Errorf("git would add what the commands left:\n%s", left)
	}
}

// scoreBySecond uploads the file of which mine.csv is the result.
const scoreBySecond = `curl -sS --fail-with-body -H "Authorization: Bearer $MILLRACE_TOKEN" -H 'Prefer: wait=30' \
  -F file=@testdata/samples/telecom_sample.csv 'http://127.0.0.1:8080/upload?model=mine' -o prediction.json
ID=$(grep -o '"prediction_id":"[^"]*' prediction.json | head -n 1 | cut -d '"' -f 4)
curl -sS --fail-with-body -H "Authorization: Bearer $MILLRACE_TOKEN" \
  http://127.0.0.1:8080/predictions/$ID/download -o downloaded.csv`

// shownCommand is a command of a console block with what it prints there; a line … stands for any number of lines.
type shownCommand struct {
	line   string
	output []string
}

// ownModel returns the two commands of README.md from a model file to a served model.
func ownModel(t *testing.T) []shownCommand {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllSubmatch(text, -1)
	if len(blocks) != 1 {
		t.Fatalf("README.md has %d console blocks, not one", len(blocks))
	}
	var commands []shownCommand
	for shown := range strings.SplitSeq(strings.TrimPrefix(string(blocks[0][1]), "$ "), "\n$ ") {
		line, output, _ := strings.Cut(strings.ReplaceAll(shown, "\\\n", "\x00"), "\n")
		commands = append(commands, shownCommand{
			strings.ReplaceAll(line, "\x00", "\\\n"), strings.Split(strings.TrimSpace(output), "\n"),
		})
	}
	if len(commands) != 2 {
		t.Fatalf("%d commands, not two", len(commands))
	}
	return commands
}

func (c shownCommand) run(t *testing.T, dir string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", c.line)
	command.Dir, command.Env, command.Stderr = dir, bareEnvironment(), t.Output()
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", c.line, err)
	}
	c.wantOutput(t, string(out))
}

// wantOutput compares all but durations.
func (c shownCommand) wantOutput(t *testing.T, printed string) {
	t.Helper()
	pattern := "^"
	for _, line := range c.output {
		if line == "…" {
			pattern += `(.*\n)*`
			continue
		}
		pattern += duration.ReplaceAllString(regexp.QuoteMeta(strings.TrimSpace(line)), `[\d.]+m?s`) + `\n`
	}
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	if !regexp.MustCompile(pattern + "$").MatchString(strings.Join(lines, "\n") + "\n") {
		t.Errorf("%s prints\n%s\nand README.md shows\n%s", c.line, printed, strings.Join(c.output, "\n"))
	}
}

// duration is one in a quoted pattern.
var duration = regexp.MustCompile(`\d+(\\\.\d+)?m?s\b`)

// TestIntegrationRunsAsPrinted follows docs/integration.md: its first block beside a server that keeps files in a
// directory, as make run starts it, and all of them beside one with a bucket.
func TestIntegrationRunsAsPrinted(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("no jq on PATH: the commands of docs/integration.md are not run")
	}
	blocks := commandBlocks(t, "docs/integration.md")
	for name, test := range map[string]struct {
		blocks []string
		change func(*testing.T, *serve.RunConfig)
	}{
		"directory": {blocks[:1], func(*testing.T, *serve.RunConfig) {}},
		"bucket":    {blocks, func(t *testing.T, c *serve.RunConfig) { c.S3 = storetest.S3(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(c *serve.RunConfig) {
				c.DatabaseURL = storetest.Postgres(t)
				test.change(t, c)
			})
			dir := t.TempDir()
			root, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(root, "testdata"), filepath.Join(dir, "testdata")); err != nil {
				t.Fatal(err)
			}
			follow(t, dir, r.API, "export MILLRACE_TOKEN="+r.Token, test.blocks...)
			scored, err := os.ReadFile(filepath.Join(dir, "scored.csv"))
			if err != nil || strings.Count(string(scored), "\n") != 10_001 {
				t.Errorf("scored.csv: %v, or not a line for each of the 10,000 customers", err)
			}
		})
	}
}

// freshCheckout commits a copy of the working tree, without what git ignores, in a new repository.
func freshCheckout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name := range strings.SplitSeq(git(t, ".", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), "\x00") {
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue // deleted, but not yet in the index
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, text, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "init", "--quiet")
	git(t, dir, "add", "--all")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test", "commit", "--quiet", "--message=all")
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = dir
	out, err := command.Output()
	if err != nil {
		t.Fatalf("git %s: %v", args[0], err)
	}
	return string(out)
}

// dataDir returns a temporary directory that the user of a private PostgreSQL may enter, unlike those of t.TempDir.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-readme")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// serving is a server that a block of commands has started: its address, the line that sets the token, and what it printed.
type serving struct {
	api, token string
	printed    []string
}

// startServing runs a block that keeps serving until the test ends, and returns when it has printed a line that begins with
// last.
func startServing(t *testing.T, dir, block, last string) (s serving) {
	t.Helper()
	command := exec.CommandContext(context.Background(), "bash", "-euo", "pipefail", "-c", block)
	command.Dir = dir
	command.Env = append(bareEnvironment(), "MILLRACE_LISTEN=127.0.0.1:0", "MILLRACE_ADMIN_LISTEN=127.0.0.1:0",
		"MILLRACE_DATA_DIR="+dataDir(t))
	command.Stderr = t.Output()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a terminal does, whose Ctrl-C goes to all of them
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		if err := syscall.Kill(-command.Process.Pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
		select {
		case <-drained:
		case <-time.After(time.Minute):
			t.Error("Ctrl-C does not stop it")
			_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
			<-drained
		}
		_ = command.Wait()
	})
	scan := bufio.NewScanner(out)
	for ended := false; !ended && scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		s.printed = append(s.printed, line)
		if url, ok := strings.CutPrefix(line, "API"); ok {
			s.api = strings.TrimSpace(url)
		}
		if strings.HasPrefix(line, "export MILLRACE_TOKEN=") {
			s.token = line
		}
		ended = strings.HasPrefix(line, last)
	}
	go func() { // ends with the last process of the group
		defer close(drained)
		_, _ = io.Copy(io.Discard, out)
	}()
	if s.api == "" || s.token == "" {
		t.Fatalf("%s does not print its address and the line that sets a token", block)
	}
	return s
}
