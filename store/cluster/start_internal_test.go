//go:build unix

package cluster

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakePrograms writes a PostgreSQL that does what is said.
func fakePrograms(t *testing.T, initdb, postgres string) (dir string) {
	t.Helper()
	dir = filepath.Dir(NewDir(t))
	if err := os.Chmod(dir, 0o777); err != nil { // the scripts may change what is there
		t.Fatal(err)
	}
	program(t, filepath.Join(dir, "initdb"), initdb)
	program(t, filepath.Join(dir, "postgres"),
		`[ "$1" = --version ] && echo "postgres (PostgreSQL) 17.1" && exit 0; `+postgres)
	return dir
}

// A start that fails says why, ends what it has started and lets the directory go.
func TestFailedStartReleasesDirectory(t *testing.T) {
	for name, test := range map[string]struct {
		initdb, postgres string
		want             []string
		data             bool // a cluster was made
	}{
		"no cluster can be made": {
			"echo 'no space left'; exit 1", "exit 0", []string{"initdb: exit status 1", "no space left"}, false,
		},
		"the server is gone":   {"rm $(dirname $0)/postgres", "exit 0", []string{"no such file"}, true},
		"the server is silent": {"exit 0", "touch $(dirname $0)/started; exec sleep 60", []string{"the server does not answer"}, true},
	} {
		config := Config{Dir: NewDir(t), BinDir: fakePrograms(t, test.initdb, test.postgres)}
		ctx, cancel := context.WithCancel(t.Context())
		var caller sync.WaitGroup
		caller.Go(func() { // waits no longer once the server has started
			for _, err := os.Stat(filepath.Join(config.BinDir, "started")); err != nil && ctx.Err() == nil; {
				time.Sleep(5 * time.Millisecond)
				_, err = os.Stat(filepath.Join(config.BinDir, "started"))
			}
			cancel()
		})
		c, err := Start(ctx, config)
		cancel()
		caller.Wait()
		if c != nil || err == nil {
			t.Fatalf("%s: it has started", name)
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		unlock, err := place{dir: config.Dir}.lock()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		unlock()
		if _, err := os.Stat(filepath.Join(config.Dir, "data")); (err == nil) != test.data {
			t.Errorf("%s: data: %v", name, err)
		}
	}
}

// PostgreSQL's programs see where libraries are, and nothing else of the environment, which holds secrets.
func TestProgramsInheritNoSecrets(t *testing.T) {
	t.Setenv("LD_LIBRARY_PATH", "/opt/lib")
	t.Setenv("LD_PRELOAD", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	got := owner{}.command(t.Context(), place{dir: "/", bin: binaries{dir: "/pg"}}, "postgres").Env
	want := []string{"PATH=/pg:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "LD_LIBRARY_PATH=/opt/lib"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A server that does not heed the first signal gets an immediate shutdown before it is killed.
func TestStopSendsImmediateShutdown(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	s := &server{exited: make(chan struct{})}
	const deaf = `trap '' INT; trap 'exit 3' QUIT; touch "$1"; while :; do sleep 0.02; done`
	s.command = exec.Command("sh", "-c", deaf, "sh", ready)
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.exited)
		_ = s.command.Wait()
	}()
	for _, err := os.Stat(ready); err != nil; _, err = os.Stat(ready) {
		time.Sleep(5 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.stop(ctx); err == nil || !strings.Contains(err.Error(), "stopped at once") {
		t.Errorf("%v", err)
	}
	if status := s.command.ProcessState.ExitCode(); status != 3 {
		t.Errorf("it ended with %d", status)
	}
}
