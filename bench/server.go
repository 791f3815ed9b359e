package bench

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a millrace in a process of its own, with a private PostgreSQL and a directory, as a user would start it
// but without rate limits.
type server struct {
	command    *exec.Cmd
	url, token string
	dir        string
	client     *http.Client
	begun      usage
}

// usage is what a process has used.
type usage struct {
	cpu       time.Duration
	peakBytes int64 // of resident memory; 0: the system does not report it
}

// serverConnections bounds what a client has open at once.
const serverConnections = 256

// startServer starts the program that runs now. Arguments come behind those that make it a service.
func startServer(ctx context.Context, environment []string, args ...string) (*server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &server{client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: serverConnections, MaxConnsPerHost: serverConnections, DisableCompression: true,
	}}}
	if s.dir, err = os.MkdirTemp("", "millrace-bench-"); err != nil {
		return nil, err
	}
	// The private PostgreSQL may run as another user, who has to pass through.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, err
	}
	args = append([]string{
		"serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--data-dir=" + s.dir,
		"--rate-default=0", "--rate-upload=0", "--rate-score=0", "--rate-download=0",
	}, args...)
	s.prepare(ctx, append([]string{program}, args...), append(os.Environ(), environment...))
	if err := s.launch(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the service: %w", err), s.stop())
	}
	s.begun = s.usage()
	return s, nil
}

func (s *server) prepare(ctx context.Context, line, environment []string) {
	s.command = exec.CommandContext(ctx, line[0], line[1:]...)
	s.command.Env = environment
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	s.command.WaitDelay = time.Minute
}

// restart ends the service and starts it again with what it has kept.
func (s *server) restart(ctx context.Context) error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := s.command.Wait(); err != nil {
		return err
	}
	s.url, s.token = "", ""
	s.prepare(ctx, s.command.Args, s.command.Env)
	return s.launch()
}

// launch starts the process and reads where it can be reached. What it says later is read and dropped.
func (s *server) launch() error {
	out, err := s.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.command.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for s.token == "" && lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if url, ok := strings.CutPrefix(line, "API "); ok {
			s.url = strings.TrimSpace(url)
		}
		if file, ok := strings.CutPrefix(line, "export MILLRACE_TOKEN=$(cat "); ok {
			token, err := os.ReadFile(strings.TrimSuffix(file, ")"))
			if err != nil {
				return err
			}
			s.token = strings.TrimSpace(string(token))
		}
	}
	if s.url == "" || s.token == "" {
		return cmp.Or(lines.Err(), errors.New("it did not say where it is"))
	}
	return nil
}

// stop ends the service and removes what it has kept.
func (s *server) stop() error {
	var err error
	if s.command != nil && s.command.Process != nil {
		if err = s.command.Process.Signal(syscall.SIGTERM); err == nil {
			err = s.command.Wait()
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// used is what the service has used since its start, without PostgreSQL.
func (s *server) used() usage {
	now := s.usage()
	now.cpu -= s.begun.cpu
	return now
}

// usage reads the process's CPU time and memory from Linux; elsewhere it is zero.
func (s *server) usage() (u usage) {
	const (
		ticksPerSecond       = 100 // USER_HZ of every Linux platform that Go knows
		userTicks            = 11  // fields behind the name, which may hold anything
		systemTicks          = 12
		kibibyte       int64 = 1 << 10
	)
	dir := "/proc/" + strconv.Itoa(s.command.Process.Pid)
	if stat, err := os.ReadFile(dir + "/stat"); err == nil {
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		user, _ := strconv.ParseInt(fields[userTicks], 10, 64)
		system, _ := strconv.ParseInt(fields[systemTicks], 10, 64)
		u.cpu = time.Duration(user+system) * time.Second / ticksPerSecond
	}
	status, _ := os.ReadFile(dir + "/status")
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, _ := strconv.ParseInt(strings.Fields(size)[0], 10, 64)
			u.peakBytes = kilobytes * kibibyte
		}
	}
	return u
}
