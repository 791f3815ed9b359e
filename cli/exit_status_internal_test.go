package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
)

// TestExitStatusOfErrors checks the status and the first line of every kind of error, also of those that no test can cause.
func TestExitStatusOfErrors(t *testing.T) {
	_, absent := os.Open("absent.csv")
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, test := range []struct {
		err    error
		status int
		line   string
	}{
		{errors.New("broken"), 70, "ERR-1500: broken"},
		{caused(exitData, errors.New("broken")), 65, "broken"},
		{fmt.Errorf("serve: %w", usage("no %s", "flag")), 64, "no flag"},
		{caused(exitUsage, plain(exitData, "no row")), 64, "no row"},
		{absent, 66, "open absent.csv: no such file or directory"},
		{caused(exitData, absent), 66, "open absent.csv: no such file or directory"},
		{&fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}, 74, "read x: input/output error"},
		{caused(exitNoInput, &fs.PathError{Op: "read", Path: "x", Err: syscall.EISDIR}), 66, "read x: is a directory"},
		{caused(exitUsage, &fs.PathError{Op: "mkdir", Path: "x", Err: syscall.EACCES}), 74, "mkdir x: permission denied"},
		{&outputError{"--out x", syscall.ENOSPC}, 74, "--out x: no space left on device"},
		{&outputError{"standard output", syscall.EPIPE}, 141, "standard output: broken pipe"},
		{fmt.Errorf("start: %w", cluster.ErrNotInstalled), 69, "start: " + cluster.ErrNotInstalled.Error()},
		{fmt.Errorf("%w: FATAL", cluster.ErrNotRunning), 69, cluster.ErrNotRunning.Error() + ": FATAL"},
		{fmt.Errorf("x is %w", cluster.ErrInUse), 75, "x is in use by another millrace"},
		{caused(exitUsage, refused), 69, "dial: connection refused"},
		{ingest.ErrEmpty, 65, "ERR-1005: The file has no rows to score."},
		{store.ErrAccounting, 70, "ERR-1504: "},
		{context.DeadlineExceeded, 75, "ERR-1404: "},
		{&codedError{"sample: ", "ERR-1501", "Our database is not available."}, 69, "sample: ERR-1501: Our database is not available."},
		{&codedError{code: "ERR-1505", text: "Full."}, 74, "ERR-1505: Full."},
		{&codedError{code: "ERR-1302", text: "Invalid."}, 64, "ERR-1302: Invalid."},
		{&codedError{code: "ERR-1403", text: "Wait."}, 75, "ERR-1403: Wait."},
	} {
		var messages bytes.Buffer
		status := fail(streams{err: &messages}, test.err)
		line, more, _ := strings.Cut(messages.String(), "\n")
		if status != test.status || !strings.HasPrefix(line, "millrace: "+test.line) {
			t.Errorf("%v: status %d, %q, want %d and %q", test.err, status, line, test.status, test.line)
		}
		if coded := strings.Contains(line, "ERR-"); coded != strings.Contains(more, "What you can do: ") {
			t.Errorf("%v: a code without a way out, or the reverse: %s", test.err, messages.String())
		}
	}
	if status := exitStatus(nil); status != 0 {
		t.Errorf("no error: status %d", status)
	}
}

// TestExitStatusOfEveryCode checks that every published code has one of the published statuses.
func TestExitStatusOfEveryCode(t *testing.T) {
	published := map[int]bool{exitUsage: true, exitData: true, exitUnavailable: true, exitSoftware: true, exitIO: true, exitTryAgain: true}
	used := map[int]bool{}
	for _, page := range serve.ErrorPages() {
		status := statusOfCode(page.Code)
		if used[status] = true; !published[status] {
			t.Errorf("%s: %d", page.Code, status)
		}
	}
	if len(used) != len(published) {
		t.Errorf("statuses of all codes: %v", used)
	}
}

func TestWrapped(t *testing.T) {
	long := strings.Repeat("x", 90)
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{" a  b\nc ", "  a b c\n"},
		{strings.Repeat("ü", 38) + " " + strings.Repeat("y", 39), "  " + strings.Repeat("ü", 38) + " " + strings.Repeat("y", 39) + "\n"},
		{strings.Repeat("ü", 39) + " " + strings.Repeat("y", 39), "  " + strings.Repeat("ü", 39) + "\n  " + strings.Repeat("y", 39) + "\n"},
		{"a " + long + " b", "  a\n  " + long + "\n  b\n"},
	} {
		if got := wrapped("  ", test.text); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}
