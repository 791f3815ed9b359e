package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// victimServer is a millrace with a database and objects of its own, in a control group of 512 MiB where one can be made.
type victimServer struct {
	address string
	issuer  *issuer
	dir     string
	group   string // a directory of cgroup v2; empty: only the peak of the process is judged
	command *exec.Cmd
	big     string // a prediction of mallory's with a large result
}

func startVictimServer(ctx context.Context, c config, limits bool) (*victimServer, error) {
	i, err := startIssuer()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "millrace-abuse")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another user
		return nil, err
	}
	s := &victimServer{issuer: i, dir: dir}
	if s.address, err = freeAddress(); err != nil {
		return nil, err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s.command = exec.Command(c.Millrace, "serve", "--data-dir", filepath.Join(dir, "data"), "--listen", s.address,
		"--admin-listen", admin)
	s.command.Env = append(os.Environ(), "AUTH_JWKS_URL="+i.url, "AUTH_ISSUER="+issuerName)
	if !limits {
		s.command.Env = append(s.command.Env, "RATE_DEFAULT=0", "RATE_UPLOAD=0", "RATE_SCORE=0", "RATE_DOWNLOAD=0", "WAITING_MAX=0")
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	s.command.Stdout, s.command.Stderr = log, log
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	for begin := time.Now(); ; wait(ctx, 100*time.Millisecond) {
		if r, err := http.Get("http://" + s.address + "/ready"); err == nil {
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				break
			}
		}
		if ctx.Err() != nil || time.Since(begin) > 2*time.Minute {
			s.stop()
			return nil, fmt.Errorf("the server is not ready: see %s", log.Name())
		}
	}
	s.confine()
	return s, nil
}

// confine moves the process, without its PostgreSQL, into a group that may hold as much as is promised.
func (s *victimServer) confine() {
	group := filepath.Join("/sys/fs/cgroup", filepath.Base(s.dir))
	if os.Mkdir(group, 0o700) != nil {
		return
	}
	if os.WriteFile(filepath.Join(group, "memory.max"), []byte(strconv.Itoa(abuseMemoryMax)), 0o600) != nil ||
		os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(s.command.Process.Pid)), 0o600) != nil {
		_ = os.Remove(group)
		return
	}
	s.group = group
}

// peak is the most memory that the process held.
func (s *victimServer) peak() int64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return abuseMemoryMax + 1 // it is dead
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return n << 10
		}
	}
	return abuseMemoryMax + 1
}

func (s *victimServer) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	_ = s.command.Wait()
	_ = s.issuer.server.Close()
	if s.group != "" {
		_ = os.Remove(s.group)
	}
	_ = os.RemoveAll(s.dir)
}

// attack starts the attackers in a process of lower priority; end ends them and waits until the server is at rest.
func (s *victimServer) attack(ctx context.Context, a attack) (end func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	order, err := json.Marshal(attackOrder{Name: a.name, Address: s.address, Token: s.issuer.token("mallory"), Big: s.big})
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "nice", "-n", "19", self, "attack")
	command.Stdin = strings.NewReader(string(order))
	command.Stderr = os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	if err := command.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		wait(ctx, 2*time.Second)
	}, nil
}
