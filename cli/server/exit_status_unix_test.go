//go:build unix

package server_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestExitStatusDirectoryInUse checks that a data directory that another server uses is no internal error.
func TestExitStatusDirectoryInUse(t *testing.T) {
	dir := clusterDir(t)
	lock, err := os.OpenFile(filepath.Join(dir, "postgres", "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	status, _, messages := run(t, t.Context(), "", "serve", "--data-dir", dir)
	if status != 75 || strings.Contains(messages, "ERR-") ||
		!strings.Contains(messages, "is in use by another millrace: stop it, or choose another directory with --data-dir\n") {
		t.Errorf("status %d: %s", status, messages)
	}
}

// clusterDir is a data directory that the user of a private PostgreSQL may enter.
func clusterDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "postgres"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestExitStatusesOfProcess runs the program itself: the status reaches its caller.
func TestExitStatusesOfProcess(t *testing.T) {
	for args, want := range map[string]int{
		"version":                               0,
		"":                                      0,
		"score --no-such-flag":                  64,
		"score --model telecom /dev/null":       65,
		"score --model telecom absent.csv":      66,
		"jobs dead --admin http://[::1]:1":      69,
		"score --model telecom --out / main.go": 74,
	} {
		cmd := exec.Command(os.Args[0], strings.Fields(args)...)
		cmd.Env = append(os.Environ(), "MILLRACE_TEST_CHILD=1")
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%q: status %d, want %d: %s", args, got, want, out)
		}
	}
}

// TestExitStatusOfProcess checks the statuses that only a process has: of signals, which are ended in plain words, and of
// a closed pipe.
func TestExitStatusOfProcess(t *testing.T) {
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		status int
		want   string
	}{
		{"SIGINT", syscall.SIGINT, 130, "millrace: interrupted\n"},
		{"SIGTERM", syscall.SIGTERM, 143, "millrace: interrupted\n"},
		{"closed pipe", 0, 141, "millrace: standard output: broken pipe\n"},
	} {
		cmd := exec.Command(os.Args[0], "score", "--model", "telecom", "-")
		cmd.Env = append(os.Environ(), "MILLRACE_TEST_CHILD=1")
		var messages bytes.Buffer
		cmd.Stderr = &messages
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := stdin.Write([]byte(header + strings.Repeat("a,1,20,30,One year\n", 10_000))); err != nil {
			t.Fatal(err)
		}
		if test.signal != 0 {
			err = cmd.Process.Signal(test.signal)
		} else {
			_ = stdout.Close()
			err = stdin.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		_ = stdin.Close()
		if got := cmd.ProcessState.ExitCode(); got != test.status || !strings.HasPrefix(messages.String(), test.want) ||
			strings.Contains(messages.String(), "ERR-") {
			t.Errorf("%s: status %d, want %d: %s", test.name, got, test.status, messages.String())
		}
	}
}
