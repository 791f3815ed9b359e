package test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// readOnlyRoot is a shell script that runs a program where nothing but a directory can be written to: $1 is the directory,
// the rest the program and its arguments.
const readOnlyRoot = `
	mount --make-rprivate / && mount -t tmpfs tmpfs "$1" && chmod 755 "$1" && mount -o remount,bind,ro / || exit 99
	touch /tmp/written 2>/dev/null && exit 99
	shift; exec "$@"`

// TestReadOnlyRoot runs everything in one process, with its private PostgreSQL, on a root file system that is read-only, as
// containers often have it: it works with a data directory that can be written to, and else names what to do in one line.
func TestReadOnlyRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root makes a file system read-only")
	}
	dir := newEmbeddedDir(t)
	for data, want := range map[string]string{
		filepath.Join(dir, "millrace"): "Worth contacting",
		"/var/lib/elsewhere/millrace":  "choose a directory that can be written to with --data-dir",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "unshare", "-m", "sh", "-c", readOnlyRoot, "sh", dir, os.Args[0], "serve",
			"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", data,
			"--sample", "testdata/samples/saas_sample.csv")
		c.Env = append(os.Environ(), childEnv+"=1")
		out := &stopAt{word: want, stop: func() { _ = c.Process.Signal(syscall.SIGTERM) }}
		c.Stdout, c.Stderr = out, out
		_ = c.Run()
		if c.ProcessState.ExitCode() == 99 {
			t.Skip("no read-only root file system can be made here")
		}
		if !strings.Contains(out.text.String(), want) {
			t.Errorf("%s: status %d\n%s", data, c.ProcessState.ExitCode(), out.text.String())
		}
	}
}

// stopAt calls stop once when a word was written.
type stopAt struct {
	text bytes.Buffer
	word string
	stop func()
}

func (s *stopAt) Write(p []byte) (int, error) {
	before := strings.Contains(s.text.String(), s.word)
	n, err := s.text.Write(p)
	if !before && strings.Contains(s.text.String(), s.word) {
		s.stop()
	}
	return n, err
}
