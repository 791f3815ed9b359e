//go:build unix

package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// NewDir is a directory that the server's user can enter: t.TempDir is closed to others.
func NewDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "postgres")
}

// A server whose millrace was killed still runs; the next millrace must end it before it starts its own.
func TestStartStopsLeftoverServer(t *testing.T) {
	config := Config{Dir: NewDir(t), Settings: map[string]string{"fsync": "off"}}
	first, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	first.unlock() // as the end of the process would
	second, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Stop(context.Background()) }()
	select {
	case <-first.Exited():
	case <-time.After(time.Minute):
		t.Error("two servers on one directory")
	}
}

func TestStopKillsHangingServer(t *testing.T) {
	c, err := Start(t.Context(), Config{Dir: NewDir(t), Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.server.command.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Stop(ctx); err == nil {
		t.Error("a stopped process stopped")
	}
	select {
	case <-c.Exited():
	default:
		t.Error("it is still there")
	}
}

// program writes an executable script.
func program(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestInstalledFindsTheNewest(t *testing.T) {
	root := NewDir(t)
	for folder, version := range map[string]string{
		"path/bin": "16.4", "lib/14/bin": "14.9", "lib/15/bin": "15.18 (Debian 15.18-0)", "lib/18/bin": "18beta1",
		"lib/99/bin": "strange",
	} {
		program(t, filepath.Join(root, folder, "postgres"), "echo 'postgres (PostgreSQL) "+version+"'")
		program(t, filepath.Join(root, folder, "initdb"), "exit 0")
	}
	// No initdb lies beside this one.
	program(t, filepath.Join(root, "lib/20/bin/postgres"), "echo 'postgres (PostgreSQL) 20.1'")
	program(t, filepath.Join(root, "lib/21/bin/postgres"), "exit 1")
	program(t, filepath.Join(root, "lib/21/bin/initdb"), "exit 1")
	if err := os.Symlink("lib/15/bin", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	path := strings.Join([]string{filepath.Join(root, "path/bin"), filepath.Join(root, "link"), "bin"}, ":")
	found := installed(t.Context(), "", path, []string{filepath.Join(root, "lib/*/bin")})
	var got []string
	for _, b := range found {
		rel, _ := filepath.Rel(root, b.dir)
		got = append(got, rel+"="+strconv.Itoa(b.major))
	}
	if want := "lib/18/bin=18 path/bin=16 lib/15/bin=15"; strings.Join(got, " ") != want {
		t.Errorf("found %v, want %s", got, want)
	}
	if b, err := pick(found, 16, "data"); err != nil || b.major != 16 {
		t.Errorf("data of 16 got %d: %v", b.major, err)
	}
}

func TestParseMajor(t *testing.T) {
	for text, want := range map[string]int{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18":                               18,
		"postgres (PostgreSQL) 19devel":                          19,
		"postgres (EDB) 15":                                      0,
		"postgres (PostgreSQL) x":                                0,
		"":                                                       0,
	} {
		if got, err := parseMajor(text); got != want || (want == 0) != (err != nil) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestFetchAcceptsExistingBinaries(t *testing.T) {
	broken := errors.New("cannot be run as root")
	config := Config{Log: func(string) {}}
	p := place{dir: NewDir(t)}
	fails := func(place, string, func(string)) error { return broken }
	if _, err := fetchInto(t.Context(), config, p, fails); !errors.Is(err, broken) {
		t.Errorf("nothing fetched: %v", err)
	}
	if err := notInstalled(broken); !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("does not say what to do: %v", err)
	}
	bin, err := fetchInto(t.Context(), config, p, func(p place, scratch string, _ func(string)) error {
		if _, err := os.Stat(scratch); err != nil {
			t.Error(err)
		}
		program(t, filepath.Join(p.fetched(), "bin/postgres"), "echo 'postgres (PostgreSQL) 18.3'")
		program(t, filepath.Join(p.fetched(), "bin/initdb"), "exit 0")
		return broken
	})
	if err != nil || bin.major != 18 {
		t.Errorf("fetched %v: %v", bin, err)
	}
	if again := fetchedBinaries(t.Context(), p); again != bin {
		t.Errorf("not found again: %v", again)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wait := make(chan struct{})
	defer close(wait)
	_, err = fetchInto(ctx, config, p, func(place, string, func(string)) error { <-wait; return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("did not give up: %v", err)
	}
}

func TestChooseBinaries(t *testing.T) {
	root := NewDir(t)
	p := place{dir: filepath.Join(root, "cluster")}
	config := Config{Log: func(string) {}}
	broken := errors.New("no network")
	sources := sources{path: root, folders: nil, fetch: func(place, string, func(string)) error { return broken }}
	if _, err := chooseBinaries(t.Context(), config, p, 0, sources); !errors.Is(err, broken) ||
		!strings.Contains(err.Error(), "DATABASE_URL") {
		t.Errorf("nothing anywhere: %v", err)
	}
	fetches := 0
	sources.fetch = func(p place, _ string, _ func(string)) error {
		fetches++
		program(t, filepath.Join(p.fetched(), "bin/postgres"), "echo 'postgres (PostgreSQL) 18.3'")
		program(t, filepath.Join(p.fetched(), "bin/initdb"), "exit 0")
		return nil
	}
	for range 2 { // what was fetched is found again
		if b, err := chooseBinaries(t.Context(), config, p, 0, sources); err != nil || b.major != 18 || fetches != 1 {
			t.Errorf("%+v after %d fetches: %v", b, fetches, err)
		}
	}
	program(t, filepath.Join(root, "postgres"), "echo 'postgres (PostgreSQL) 17.1'")
	program(t, filepath.Join(root, "initdb"), "exit 0")
	if b, err := chooseBinaries(t.Context(), config, p, 0, sources); err != nil || b.major != 17 {
		t.Errorf("installed ones come first for new data: %+v, %v", b, err)
	}
	if b, err := chooseBinaries(t.Context(), config, p, 18, sources); err != nil || b.major != 18 {
		t.Errorf("old data keep what made them: %+v, %v", b, err)
	}
	if _, err := chooseBinaries(t.Context(), config, p, 16, sources); err == nil {
		t.Error("data of 16 without a 16")
	}
	config.BinDir = t.TempDir()
	if _, err := chooseBinaries(t.Context(), config, p, 0, sources); err == nil || fetches != 1 {
		t.Errorf("a folder was named: %v", err)
	}
}

func TestServesDirectory(t *testing.T) {
	if servesDirectory(t.Context(), os.Getpid(), "/data") || servesDirectory(t.Context(), 1<<22+1, "/data") {
		t.Error("this is no server")
	}
}
