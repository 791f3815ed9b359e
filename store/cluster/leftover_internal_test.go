//go:build unix

package cluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func startQuick(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Config{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	return c
}

func (c *Cluster) pid() int { return c.current().command.Process.Pid }

// answers fails the test unless the server of a cluster is the one of pid, and answers.
func (c *Cluster) answers(t *testing.T, pid int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
	if c.current().ended() || c.pid() != pid || c.place.noted() != pid {
		t.Errorf("server %d, noted %d, want %d", c.pid(), c.place.noted(), pid)
	}
}

// The server that a killed millrace left is ended whatever its note has become.
func TestStart_LeftoverWithoutNote(t *testing.T) {
	for name, spoil := range map[string]func(note string) error{
		"lost":    os.Remove,
		"empty":   func(note string) error { return os.WriteFile(note, nil, 0o600) },
		"strange": func(note string) error { return os.WriteFile(note, []byte("none\n"), 0o600) },
		"foreign": func(note string) error { return os.WriteFile(note, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := NewDir(t)
			first := startQuick(t, dir)
			if err := spoil(first.place.note()); err != nil {
				t.Fatal(err)
			}
			first.unlock() // as the end of its process would
			begin := time.Now()
			second := startQuick(t, dir)
			if !first.current().ended() {
				t.Error("two servers on one directory")
			}
			if took := time.Since(begin); took > orphansTimeout {
				t.Errorf("started after %s", took)
			}
			second.answers(t, second.pid())
		})
	}
}

// A copy of a directory whose original is in use starts beside it, whatever their names are, and neither touches the other.
func TestStart_CopiedDirectory(t *testing.T) {
	copied := NewDir(t)
	original := filepath.Join(filepath.Dir(NewDir(t)), copied) // its path ends in the copy's
	c := startQuick(t, original)
	pid := c.pid()
	if out, err := exec.Command("cp", "-a", original, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if noted := (place{dir: copied}).noted(); noted != pid {
		t.Fatalf("the copy's note names %d, not %d", noted, pid)
	}
	second := startQuick(t, copied)
	second.answers(t, second.pid())
	c.answers(t, pid)
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.answers(t, pid)
}

// A directory that was moved while its server ran on is known by what it is, not by its name.
func TestStart_MovedDirectory(t *testing.T) {
	before, after := NewDir(t), NewDir(t)
	first := startQuick(t, before)
	first.unlock()
	if err := os.Rename(before, after); err != nil {
		t.Fatal(err)
	}
	second := startQuick(t, after)
	if !first.current().ended() {
		t.Error("two servers on one directory")
	}
	second.answers(t, second.pid())
}

// What is no server of the directory is not one, and is left alone.
func TestServesDirectory_Others(t *testing.T) {
	c := startQuick(t, NewDir(t))
	data := c.place.data()
	if !servesDirectory(t.Context(), c.pid(), data) {
		t.Error("its own server")
	}
	children, err := exec.Command("pgrep", "-P", strconv.Itoa(c.pid())).Output()
	if err == nil {
		for _, child := range strings.Fields(string(children)) {
			if pid, err := strconv.Atoi(child); err != nil || servesDirectory(t.Context(), pid, data) {
				t.Errorf("a child of it: %s, %v", child, err)
			}
		}
	}
	for name, other := range map[string]string{
		"a folder above": filepath.Dir(data), "the end of its path": data[1:], "a file in it": filepath.Join(data, "PG_VERSION"),
	} {
		if servesDirectory(t.Context(), c.pid(), other) {
			t.Errorf("%s: %s", name, other)
		}
	}
}

// A server that cannot be started again is given up.
func TestSupervise_GivesUp(t *testing.T) {
	dir := fakePrograms(t, "exit 0", "exit 1")
	c := startQuick(t, NewDir(t))
	c.revivals = 2
	c.place.bin = binaries{dir: dir, major: 17}
	done := make(chan error, 1)
	go func() { done <- c.Supervise(t.Context()) }()
	if err := syscall.Kill(c.pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if !errors.Is(err, ErrNotRunning) {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it is not given up")
	}
}

// A server that can be started is not given up, however often it ends.
func TestSupervise_NeverGivesUpARunningServer(t *testing.T) {
	c := startQuick(t, NewDir(t))
	c.revivals = 1
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Supervise(ctx) }()
	for range 3 {
		killed := c.current()
		if err := syscall.Kill(c.pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for begin := time.Now(); c.current() == killed || c.current().ended(); time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > time.Minute {
				t.Fatal("it is not started again")
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A server that is asked to stop while it is waited for is not waited for any longer, though a connection keeps it there.
func TestReady_AskedToStop(t *testing.T) {
	c := startQuick(t, NewDir(t))
	open, err := pgx.Connect(t.Context(), c.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close(context.Background()) }()
	if err := syscall.Kill(c.pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); !c.place.stopping(c.pid()); time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("it does not stop")
		}
	}
	if err := c.ready(t.Context(), c.current()); err == nil || !strings.Contains(err.Error(), "asked to stop") {
		t.Errorf("%v", err)
	}
}

// A user without an entry in /etc/passwd, as in a container with any user: an error names the ways out, in one line. A
// cluster that exists already can be used.
func TestStart_UnknownUser(t *testing.T) {
	const words = `echo "initdb: error: could not look up effective user ID 123456: user does not exist" >&2; exit 1`
	unknown, bin := owner{name: "123456", uid: os.Getuid(), gid: os.Getgid()}, fakePrograms(t, words, "exit 0")
	if os.Getuid() == 0 {
		unknown.uid, unknown.gid, unknown.change, bin = 123456, 123456, true, ""
	}
	_, err := startAs(t.Context(), Config{Dir: NewDir(t), BinDir: bin}, unknown)
	if err == nil || !strings.Contains(err.Error(), "libnss_wrapper") || !strings.Contains(err.Error(), "DATABASE_URL") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if !unknown.change {
		return // only root becomes another user
	}
	dir := NewDir(t)
	if err := startQuick(t, dir).Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "-R", "123456:123456", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := startAs(t.Context(), Config{Dir: dir, Settings: map[string]string{"fsync": "off"}}, unknown)
	if err != nil {
		t.Fatal(err)
	}
	c.answers(t, c.pid())
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
