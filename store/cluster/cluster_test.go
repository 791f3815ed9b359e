//go:build unix

package cluster_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/cluster"
)

func start(t *testing.T, dir string) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Config{Dir: dir, Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	return c
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var answer string
	if err := conn.QueryRow(ctx, sql).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

func TestClusterPersistsDataAndRefusesOtherUsers(t *testing.T) {
	dir := cluster.NewDir(t)
	c := start(t, dir)
	execute(t, c.URL(), `CREATE TABLE kept AS SELECT 42 AS n`)
	if got := query(t, c.URL(), `SELECT current_setting('listen_addresses') || current_setting('fsync')`); got != "off" {
		t.Errorf("listens on addresses, or lost a setting: %q", got)
	}
	if _, err := cluster.Start(t.Context(), cluster.Config{Dir: dir}); err == nil ||
		!strings.Contains(err.Error(), "in use by another millrace") {
		t.Errorf("second start: %v", err)
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(c.URL(), "millrace:", "millrace:x", 1)); err == nil {
		t.Error("a wrong password was accepted")
	}
	for name, want := range map[string]os.FileMode{"socket": 0o700, "password": 0o600, "data": 0o700} {
		if stat, err := os.Stat(filepath.Join(c.Dir(), name)); err != nil || stat.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, stat.Mode(), err)
		}
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("second stop: %v", err)
	}
	if got := query(t, start(t, dir).URL(), `SELECT n::text FROM kept`); got != "42" {
		t.Errorf("after a restart: %q", got)
	}
}

func serverPid(t *testing.T, c *cluster.Cluster) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.Dir(), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestClusterRestartsAfterKill(t *testing.T) {
	dir := cluster.NewDir(t)
	c := start(t, dir)
	if err := syscall.Kill(serverPid(t, c), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Exited():
	case <-time.After(time.Minute):
		t.Fatal("Exited did not close when the server died")
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("stop of a dead server: %v", err)
	}
	// The note of the dead server stays. Let its number be that of a living process that is no server.
	note := filepath.Join(dir, "data", "postmaster.pid")
	b, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n")
	content := strings.Join([]string{strconv.Itoa(os.Getpid()), rest}, "\n")
	if err := os.WriteFile(note, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := query(t, start(t, dir).URL(), `SELECT 'up'`); got != "up" {
		t.Error(got)
	}
}

func TestStartRefuses(t *testing.T) {
	write := func(name, text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		prepare []func(t *testing.T, dir string)
		bin     string
		want    string
	}{
		"data of another version": {
			[]func(*testing.T, string){write("password", "x"), write("data/PG_VERSION", "9\n")},
			"",
			"are of PostgreSQL 9",
		},
		"data of no version": {
			[]func(*testing.T, string){write("password", "x"), write("data/PG_VERSION", "new")}, "", "version of the data",
		},
		"data without their password": {
			[]func(*testing.T, string){write("data/PG_VERSION", "15")}, "", "password is missing",
		},
		"a version that cannot be read": {
			[]func(*testing.T, string){write("password", "x"), write("data/PG_VERSION/x", "15")}, "", "is a directory",
		},
		"a folder without binaries": {nil, "/etc", "no PostgreSQL 15 or newer in /etc"},
		"a folder as password":      {[]func(*testing.T, string){write("password/x", "")}, "", "is a directory"},
		"a folder as lock":          {[]func(*testing.T, string){write("lock/x", "")}, "", "is a directory"},
		"a file in its place":       {[]func(*testing.T, string){write("../postgres", "")}, "", "not a directory"},
		"a file in the way":         {[]func(*testing.T, string){write("socket", "")}, "", "socket"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := cluster.NewDir(t)
			for _, prepare := range c.prepare {
				prepare(t, dir)
			}
			_, err := cluster.Start(t.Context(), cluster.Config{Dir: dir, BinDir: c.bin})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestStartReturnsServerLog(t *testing.T) {
	_, err := cluster.Start(t.Context(), cluster.Config{
		Dir: cluster.NewDir(t), Settings: map[string]string{"fsync": "off", "shared_buffers": "many"},
	})
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "shared_buffers"`) {
		t.Errorf("%v", err)
	}
}

func TestStartStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := cluster.NewDir(t)
	if _, err := cluster.Start(ctx, cluster.Config{Dir: dir}); err == nil {
		t.Fatal("started")
	}
	start(t, dir) // nothing half done is in the way
}

func TestLongDirectoryUsesShortSocket(t *testing.T) {
	dir := filepath.Join(cluster.NewDir(t), strings.Repeat("deep/", 25))
	c := start(t, dir)
	if got := query(t, c.URL(), `SELECT current_setting('unix_socket_directories')`); len(got) > 90 {
		t.Errorf("socket in %s", got)
	}
}

func TestClosedDirectoryKeepsItsMode(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts a server as another user")
	}
	closed := cluster.NewDir(t)
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	var said string
	c, err := cluster.Start(t.Context(), cluster.Config{
		Dir: filepath.Join(closed, "postgres"), Log: func(m string) { said += m + "\n" },
		Settings: map[string]string{"fsync": "off"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Stop(context.Background())
		_ = os.RemoveAll(c.Dir())
	})
	if strings.HasPrefix(c.Dir(), closed) || !strings.Contains(said, c.Dir()) {
		t.Errorf("in %s, said %q", c.Dir(), said)
	}
	query(t, c.URL(), `SELECT 'up'`)
}

// A lock of the socket that a killed server left does not keep the next one from starting: empty after a loss of power,
// or with the number of a process that runs.
func TestStartRemovesStaleSocketLock(t *testing.T) {
	dir := cluster.NewDir(t)
	c := start(t, dir)
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"", strconv.Itoa(os.Getpid()) + "\n"} {
		lock := filepath.Join(c.Dir(), "socket", ".s.PGSQL.5432.lock")
		if err := os.WriteFile(lock, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		again := start(t, dir)
		if got := query(t, again.URL(), `SELECT 'up'`); got != "up" {
			t.Error(got)
		}
		if err := again.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
