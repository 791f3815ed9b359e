//go:build unix

package test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/storetest"
)

// embedded is a millrace in a process of its own with its private PostgreSQL.
type embedded struct {
	*child
	dir string
}

func startEmbedded(t *testing.T, dir string, args ...string) *embedded {
	t.Helper()
	return &embedded{startChild(t, append([]string{
		"--data-dir", dir, "--part-bytes", "262144", "--lease", "10m", "--canary", "off",
		"--rate-upload", "0", "--rate-default", "0", "--rate-download", "0",
	}, args...)...), dir}
}

// newEmbeddedDir returns a directory that the user of PostgreSQL can enter.
func newEmbeddedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil { // #nosec G302 -- the server's user must pass through
			t.Fatal(err)
		}
	}
	return dir
}

func (e *embedded) postmaster(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(e.dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, _ := strconv.Atoi(first)
	return pid
}

// database returns the URL of the private PostgreSQL.
func (e *embedded) database(t *testing.T) string {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(e.dir, "postgres", "password"))
	if err != nil {
		t.Fatal(err)
	}
	return "postgres://millrace:" + string(password) + "@/millrace?sslmode=disable&host=" + filepath.Join(e.dir, "postgres", "socket")
}

// wantScored fails the test unless all predictions complete with the bytes of an undisturbed run, and no attempt is charged.
func (e *embedded) wantScored(t *testing.T, ids []string, want string) {
	t.Helper()
	for _, id := range ids {
		e.waitThrough(t, id)
		if _, result := e.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil); string(result) != want {
			t.Errorf("prediction %s: %d bytes, want %d", id, len(result), len(want))
		}
	}
	if n := askNumber(t, e.database(t), `SELECT coalesce(max(attempts), 0) FROM prediction_parts`); n > 1 {
		t.Errorf("%d attempts at a part", n)
	}
	if n := askNumber(t, e.database(t), `SELECT count(*) FROM prediction_failures`); n != 0 {
		t.Errorf("%d attempts were charged", n)
	}
}

// uploadsAgain waits until a file is accepted, and fails the test if that takes longer than most.
func (e *embedded) uploadsAgain(t *testing.T, file string, since time.Time, most time.Duration) string {
	t.Helper()
	id := e.uploadSoon(t, file)
	took := time.Since(since)
	t.Logf("accepted after %s", took.Round(time.Millisecond))
	if took > most {
		t.Errorf("accepted after %s", took)
	}
	return id
}

const revivedMax = 30 * time.Second // a second or two on a machine that has nothing else to do

// TestPrivatePostgres_Killed kills the private PostgreSQL while files are scored, KILLED_POSTMASTERS (2) times: uploads work
// again within seconds, without a restart of millrace, and no attempt is charged.
func TestPrivatePostgres_Killed(t *testing.T) {
	times, _ := strconv.Atoi(os.Getenv("KILLED_POSTMASTERS"))
	e := startEmbedded(t, newEmbeddedDir(t))
	file := sampleFile(t, "telecom_10k.csv")
	var ids []string
	for range max(2, times) {
		ids = append(ids, e.uploadSoon(t, file), e.uploadSoon(t, file))
		time.Sleep(100 * time.Millisecond) // parts are in hand
		begin := time.Now()
		if err := syscall.Kill(e.postmaster(t), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.uploadsAgain(t, file, begin, revivedMax))
	}
	e.wantScored(t, ids, scoredOffline(t, "telecom", file))
	if status := e.end(syscall.SIGTERM); status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestPrivatePostgres_ProgramsReplaced replaces PostgreSQL's programs while files are scored, as an upgrade of its package
// does: it is restarted with them, and no attempt is charged.
func TestPrivatePostgres_ProgramsReplaced(t *testing.T) {
	bin := storetest.CopyPrograms(t)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	e := startEmbedded(t, newEmbeddedDir(t))
	file := sampleFile(t, "telecom_10k.csv")
	pid := e.postmaster(t)
	if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err == nil && filepath.Dir(exe) != bin {
		t.Skipf("PostgreSQL in %s is newer than the one that was copied", exe)
	}
	storetest.ReplacePrograms(t, bin)
	var ids []string
	for begin := time.Now(); e.postmaster(t) == pid || e.postmaster(t) == 0; {
		ids = append(ids, e.uploadSoon(t, file))
		time.Sleep(2 * time.Second)
		if time.Since(begin) > time.Minute {
			t.Fatal("it is not restarted")
		}
	}
	ids = append(ids, e.uploadsAgain(t, file, time.Now(), revivedMax))
	e.wantScored(t, ids, scoredOffline(t, "telecom", file))
}

// TestPrivatePostgres_Stop stops a process in the middle of its work: as the systemd unit does, the main process alone, and
// as units without KillMode=mixed do, with the private PostgreSQL and its sessions at the same moment. Neither charges an
// attempt, and a stop is no crash.
func TestPrivatePostgres_Stop(t *testing.T) {
	for name, all := range map[string]bool{"main process": false, "whole control group": true} {
		t.Run(name, func(t *testing.T) {
			dir, file := newEmbeddedDir(t), sampleFile(t, "telecom_10k.csv")
			var ids []string
			e := startEmbedded(t, dir)
			for range 3 {
				ids = append(ids, e.uploadSoon(t, file))
			}
			begin := time.Now()
			if all {
				signalServer(t, e.postmaster(t))
			}
			if status := e.end(syscall.SIGTERM); status != 0 {
				t.Errorf("status %d", status)
			}
			t.Logf("stopped after %s", time.Since(begin).Round(time.Millisecond))
			if pid := e.postmaster(t); pid != 0 {
				t.Errorf("server %d is left", pid)
			}
			last := startEmbedded(t, dir)
			last.wantScored(t, ids, scoredOffline(t, "telecom", file))
		})
	}
}

// signalServer sends SIGTERM to a server and its children.
func signalServer(t *testing.T, pid int) {
	t.Helper()
	children, err := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(strings.Fields(string(children)), strconv.Itoa(pid)) {
		child, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(child, syscall.SIGTERM)
	}
}
