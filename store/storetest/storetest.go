// Package storetest starts the real servers that tests need: PostgreSQL, an S3 server, an SQS server. Each is started
// once per test process, when the first test asks for it, listens on loopback or in a directory only, and ends with
// the process, however that ends. A test gets its own database, bucket or queue.
package storetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// server is a thing that was started once for the process, or the reason why it could not be.
type server[T any] struct {
	once  sync.Once
	value T
	err   error
}

func (s *server[T]) get(t testing.TB, start func() (T, error)) T {
	t.Helper()
	s.once.Do(func() { s.value, s.err = start() })
	if s.err != nil {
		t.Fatalf("start test server: %v", s.err)
	}
	return s.value
}

// makeDir makes a directory for a server. Other users may enter it, as PostgreSQL does not run as root.
func makeDir(name string) (string, error) {
	dir, err := os.MkdirTemp("", "millrace-"+name+"-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// guard ends a process and removes its directory when this process is gone. It is a shell that waits for the end of
// its input, which this process holds open and never writes to: no hook at the end of the tests is needed, and kill -9 is covered.
func guard(pid int, dir string) error {
	script := `cat >/dev/null
		kill -QUIT "$1" 2>/dev/null
		for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
		kill -KILL "$1" 2>/dev/null
		rm -rf "$2"`
	cmd := exec.Command("sh", "-c", script, "guard", strconv.Itoa(pid), dir)
	detach(cmd)
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("guard process %d: %w", pid, err)
	}
	guards.hold(cmd)
	return nil
}

// guards keeps the open pipes from the garbage collector, which would close them.
var guards holder

type holder struct {
	mu   sync.Mutex
	cmds []*exec.Cmd
}

func (h *holder) hold(cmd *exec.Cmd) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cmds = append(h.cmds, cmd)
}

// uniqueName makes a name for a database, bucket or queue of one test.
func uniqueName(t testing.TB) string {
	t.Helper()
	sum := uint32(2166136261)
	for _, b := range []byte(t.Name()) {
		sum = (sum ^ uint32(b)) * 16777619
	}
	return fmt.Sprintf("t%08x-%d", sum, names.next())
}

var names counter

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

// background is for what must happen after a test's own context has ended.
func background() context.Context { return context.Background() }

func sqlName(name string) string { return strings.ReplaceAll(name, "-", "_") }
