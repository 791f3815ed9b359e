package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a millrace that is started again whenever it ends, as a supervisor of a real host would.
type process struct {
	name    string
	program string
	args    []string
	env     []string
	prefix  []string // in front of the program: how to enter another network namespace
	notes   *notes
	aside   bool // its warnings are not counted
	log     io.Writer

	mu     sync.Mutex
	child  *os.Process // nil: not running
	ready  bool
	admin  string // where its metrics are
	paused bool
	held   bool          // not started again
	cpu    time.Duration // of the runs that have ended
	starts int
}

// restartPause is how long a supervisor waits.
const restartPause = 200 * time.Millisecond

// supervise runs the process until ctx ends, and then ends it: asking first.
func (p *process) supervise(ctx context.Context) {
	runtime.LockOSThread() // a child dies with the thread that started it
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		if p.isHeld() {
			wait(ctx, restartPause)
			continue
		}
		if err := p.run(ctx); err != nil {
			p.notes.add("cannot start " + p.name + ": " + err.Error())
		}
		wait(ctx, restartPause)
	}
}

func (p *process) run(ctx context.Context) error {
	args := append(append(append([]string{}, p.prefix...), p.program), p.args...)
	command := exec.Command(args[0], args[1:]...)
	command.Env = append(os.Environ(), p.env...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	messages, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	p.mu.Lock()
	p.child, p.ready, p.paused = command.Process, false, false
	p.starts++
	p.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { p.signal(syscall.SIGCONT); p.signal(syscall.SIGTERM) })
	defer stop()
	var readers sync.WaitGroup
	readers.Go(func() { p.readOutput(out) })
	readers.Go(func() { p.readLog(messages) })
	readers.Wait()
	_ = command.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.child, p.ready, p.paused = nil, false, false
	p.cpu += command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	return nil
}

// signal reaches the process if it runs.
func (p *process) signal(s syscall.Signal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child != nil && p.child.Signal(s) == nil
}

// hold ends the process with a signal, which does not start again before release.
func (p *process) hold(s syscall.Signal) {
	p.mu.Lock()
	p.held = true
	p.mu.Unlock()
	p.signal(s)
}

func (p *process) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
}

func (p *process) isHeld() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

func (p *process) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.child != nil
}

func (p *process) readOutput(out io.Reader) {
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if address, ok := strings.CutPrefix(strings.TrimSpace(scan.Text()), "metrics"); ok {
			p.mu.Lock()
			p.ready, p.admin = true, strings.TrimSpace(address)
			p.mu.Unlock()
		}
	}
}

// forbidden are words that the log of a sound millrace never has, whatever is done to it.
var forbidden = []string{"panic", "duplicate key", "rows do not add up", "deadlock detected"}

func (p *process) readLog(messages io.Reader) {
	scan := bufio.NewScanner(messages)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		line := scan.Bytes()
		_, _ = fmt.Fprintf(p.log, "%s %s\n", p.name, line)
		for _, word := range forbidden {
			if bytes.Contains(line, []byte(word)) {
				p.notes.violation("%s logged: %s", p.name, line)
			}
		}
		var entry struct{ Level, Msg, Result string }
		if json.Unmarshal(line, &entry) == nil && entry.Level != "INFO" && !p.aside {
			p.notes.add(strings.TrimSpace(entry.Msg + " " + entry.Result))
		}
	}
}

// workerName is what a running worker calls itself in the ledger.
func (p *process) workerName() (name string, ready bool) {
	host, _ := os.Hostname()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return "", false
	}
	return fmt.Sprintf("%s/%d", host, p.child.Pid), p.ready && !p.paused
}

// notes is what was seen. It is safe for concurrent use.
type notes struct {
	mu         sync.Mutex
	counts     map[string]int
	violations []string
}

func newNotes() *notes { return &notes{counts: map[string]int{}} }

func (n *notes) add(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts[what]++
}

func (n *notes) count(what string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts[what]
}

// violation is printed at once, as a run is long.
func (n *notes) violation(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	n.violations = append(n.violations, text)
	fmt.Println("VIOLATION:", text)
}

func (n *notes) bad() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.violations)
}

// openLog is where the lines of all processes go.
func openLog(dir string) (io.WriteCloser, error) {
	if dir == "" {
		return discard{}, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(dir, "processes.log"))
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
