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
	api, token := startFirst(t, dir, blocks[0])
	follow(t, dir, api, token, blocks[1:]...)
	for _, name := range []string{"scored.csv", "downloaded.csv"} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || strings.Count(string(file), "\n") != 10_001 {
			t.Errorf("%s: %v, or not a line for each of the 10,000 customers", name, err)
		}
	}
	if left := git(t, dir, "status", "--porcelain"); left != "" {
		t.Errorf("git would add what the commands left:\n%s", left)
	}
}

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

// startFirst runs the block that keeps serving until the test ends, and returns what it prints for the next blocks: its
// address and the line that sets the token.
func startFirst(t *testing.T, dir, block string) (api, token string) {
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
	for sampled := false; !sampled && scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		if url, ok := strings.CutPrefix(line, "API"); ok {
			api = strings.TrimSpace(url)
		}
		if strings.HasPrefix(line, "export MILLRACE_TOKEN=") {
			token = line
		}
		sampled = strings.HasPrefix(line, "Ctrl-C")
	}
	go func() { // ends with the last process of the group
		defer close(drained)
		_, _ = io.Copy(io.Discard, out)
	}()
	if api == "" || token == "" {
		t.Fatal("the first block does not print its address and the line that sets a token")
	}
	return api, token
}
