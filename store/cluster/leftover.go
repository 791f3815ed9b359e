//go:build unix

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What a server that was killed leaves behind names a process: postmaster.pid in the data, and the lock of the socket.
// Neither can be believed. They may be empty after a loss of power; the number may belong to any process by now, in a
// container in particular; and in a copy of a directory it is that of the original's server, which may run. So a server is
// known by the directory that it works in, the note is no more than a hint, and no other process is ever signalled.

// clear ends a server of this directory whose millrace was killed, and removes what it has left. The lock of the
// directory is held, so no other process starts one.
func (c *Cluster) clear(ctx context.Context) error {
	if err := c.place.stopLeftover(ctx); err != nil {
		return err
	}
	return c.place.removeSocket()
}

func (p place) note() string { return filepath.Join(p.data(), "postmaster.pid") }

// noted returns the process in the note; 0 if there is none.
func (p place) noted() int {
	b, err := os.ReadFile(p.note())
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

// stopping reports whether the server with a pid writes in its note that it is shutting down.
func (p place) stopping(pid int) bool {
	b, err := os.ReadFile(p.note())
	words := strings.Fields(string(b))
	return err == nil && len(words) > 0 && words[0] == strconv.Itoa(pid) && slices.Contains(words, "stopping")
}

func (p place) stopLeftover(ctx context.Context) error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		pid := p.serving(ctx)
		if pid == 0 {
			break
		}
		_ = syscall.Kill(pid, sig)
		for end := time.Now().Add(fastTimeout); servesDirectory(ctx, pid, p.data()); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				break
			}
		}
	}
	if pid := p.serving(ctx); pid != 0 {
		return fmt.Errorf("process %d still serves %s", pid, p.data())
	}
	if err := os.Remove(p.note()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// serving returns the process that serves the data; 0 if there is none. A note that was lost does not hide it.
func (p place) serving(ctx context.Context) int {
	if pid := p.noted(); pid != 0 && servesDirectory(ctx, pid, p.data()) {
		return pid
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil && servesDirectory(ctx, pid, p.data()) {
			return pid
		}
	}
	return 0
}

// servesDirectory reports whether a process is the PostgreSQL server of a data directory: the server's own program, not a
// child, which shows what it does in place of the program, that works in this directory, whatever its path was at the
// start. Without /proc the path in its command line decides.
func servesDirectory(ctx context.Context, pid int, data string) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	process := fmt.Sprintf("/proc/%d/", pid)
	line, err := os.ReadFile(process + "cmdline")
	if err != nil {
		text, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
		return err == nil && strings.Contains(string(text), "postgres -D "+data+" ")
	}
	program, _, _ := bytes.Cut(line, []byte{0})
	if filepath.Base(string(program)) != "postgres" {
		return false
	}
	there, err1 := os.Stat(process + "cwd")
	here, err2 := os.Stat(data)
	return errors.Join(err1, err2) == nil && os.SameFile(there, here)
}

// removeSocket removes what a server that was killed has left of its socket. The directory of the socket is this cluster's
// alone, and no server of it runs any more.
func (p place) removeSocket() error {
	for _, name := range []string{".s.PGSQL.5432.lock", ".s.PGSQL.5432"} {
		if err := os.Remove(filepath.Join(p.socket, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
