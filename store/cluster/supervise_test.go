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
	"github.com/retainwise/millrace/store/storetest"
)

// supervised starts a cluster that is kept running until the test ends.
func supervised(t *testing.T, config cluster.Config) *cluster.Cluster {
	t.Helper()
	config.Dir, config.Settings = cluster.NewDir(t), map[string]string{"fsync": "off"}
	config.Warn = func(line string) { t.Log(line) }
	c, err := cluster.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Supervise(context.Background()) }()
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Errorf("supervise: %v", err)
		}
	})
	return c
}

// wantAnother waits until another server than the one of pid answers.
func wantAnother(t *testing.T, c *cluster.Cluster, pid int) {
	t.Helper()
	begin := time.Now()
	for time.Since(begin) < time.Minute {
		b, err := os.ReadFile(filepath.Join(c.Dir(), "data", "postmaster.pid")) // there is none for a moment
		first, _, _ := strings.Cut(string(b), "\n")
		if now, bad := strconv.Atoi(first); err == nil && bad == nil && now != pid {
			if conn, err := pgx.Connect(t.Context(), c.URL()); err == nil {
				t.Logf("another server answers after %s", time.Since(begin).Round(time.Millisecond))
				_ = conn.Close(t.Context())
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no other server answers")
}

// A server that was killed, or asked to stop by another while connections are open, is started again with all data, as
// often as it happens: KILLED_POSTMASTERS (2) times each.
func TestSupervise_StartsAgain(t *testing.T) {
	times, _ := strconv.Atoi(os.Getenv("KILLED_POSTMASTERS"))
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "asked": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			c := supervised(t, cluster.Config{})
			execute(t, c.URL(), `CREATE TABLE kept (n int)`)
			for i := range max(2, times) {
				open, err := pgx.Connect(t.Context(), c.URL())
				if err != nil {
					t.Fatal(err)
				}
				execute(t, c.URL(), `INSERT INTO kept VALUES (`+strconv.Itoa(i)+`)`)
				pid := serverPid(t, c)
				if err := syscall.Kill(pid, signal); err != nil {
					t.Fatal(err)
				}
				wantAnother(t, c, pid)
				_ = open.Close(t.Context())
				if got := query(t, c.URL(), `SELECT count(*)::text FROM kept`); got != strconv.Itoa(i+1) {
					t.Errorf("%s rows of %d", got, i+1)
				}
			}
		})
	}
}

// A server whose programs were replaced is restarted when the upgrade is over, and not while files are missing.
func TestSupervise_ChangedPrograms(t *testing.T) {
	bin := storetest.CopyPrograms(t)
	c := supervised(t, cluster.Config{BinDir: bin, Settle: 2 * time.Second})
	pid := serverPid(t, c)
	program := filepath.Join(bin, "postgres")
	if err := os.Rename(program, program+".old"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second)
	if got := serverPid(t, c); got != pid {
		t.Error("restarted without a program")
	}
	if err := os.Rename(program+".old", program); err != nil {
		t.Fatal(err)
	}
	storetest.ReplacePrograms(t, bin)
	wantAnother(t, c, pid)
	pid = serverPid(t, c)
	running, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil {
		t.Skipf("which program runs is not known here: %v", err)
	}
	onDisk, err := os.Stat(program)
	if err != nil || !os.SameFile(running, onDisk) {
		t.Errorf("it runs another program than the new one: %v", err)
	}
	time.Sleep(4 * time.Second)
	if got := serverPid(t, c); got != pid {
		t.Error("restarted without a reason")
	}
	if got := query(t, c.URL(), `SELECT current_setting('shared_preload_libraries')`); got != "plpgsql" {
		t.Errorf("sessions load %q", got)
	}
}
