//go:build unix

package storetest

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/cluster"
)

// Replica is a PostgreSQL of one test that others replicate from, or that replicates from another. It listens on a Unix
// socket.
type Replica struct {
	own  *cluster.Cluster
	base string // directory of the cluster
}

// NewPrimary starts a PostgreSQL with an empty database. It is stopped when the test ends.
func NewPrimary(t testing.TB) *Replica {
	t.Helper()
	return startReplica(t, newReplicaDir(t))
}

func newReplicaDir(t testing.TB) string {
	t.Helper()
	dir, err := makeDir("replica")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "cluster")
}

func startReplica(t testing.TB, base string) *Replica {
	t.Helper()
	own, err := cluster.Start(t.Context(), cluster.Config{
		Dir: base, Settings: map[string]string{"fsync": "off", "shared_buffers": "32MB"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &Replica{own: own, base: base}
	t.Cleanup(r.Stop)
	return r
}

// Standby starts a standby that streams from r.
func (r *Replica) Standby(t testing.TB) *Replica {
	t.Helper()
	base := newReplicaDir(t)
	u, err := url.Parse(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(base, 0o700); err != nil {
		t.Fatal(err)
	}
	user := owner(t, filepath.Join(r.base, "data"))
	if err := os.Chown(base, int(user.Uid), int(user.Gid)); err != nil {
		t.Fatal(err)
	}
	u.Path = "/replication"
	backup := exec.CommandContext(t.Context(), filepath.Join(Ask(t, r.URL(), `
		SELECT setting FROM pg_config() WHERE name = 'BINDIR'`), "pg_basebackup"),
		"--dbname", u.String(), "--pgdata", filepath.Join(base, "data"), "--checkpoint", "fast", "--write-recovery-conf",
		"--no-sync")
	backup.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	backup.Dir = base
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	copyOwned(t, filepath.Join(r.base, "password"), filepath.Join(base, "password"), user)
	return startReplica(t, base)
}

// owner returns the user that owns a file, as whom its PostgreSQL runs.
func owner(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	stat, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	sys := stat.Sys().(*syscall.Stat_t)
	return &syscall.Credential{Uid: sys.Uid, Gid: sys.Gid, NoSetGroups: os.Getuid() != 0}
}

func copyOwned(t testing.TB, from, to string, user *syscall.Credential) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err == nil {
		err = os.Chown(to, int(user.Uid), int(user.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// URL returns the connection string of its database, which all replicas have.
func (r *Replica) URL() string { return r.own.URL() }

// Address returns the network and the address of its socket.
func (r *Replica) Address() (network, address string) {
	u, err := url.Parse(r.URL())
	if err != nil {
		panic(err) // made by store/cluster
	}
	return addressOf(u)
}

// CatchUp waits until a standby has replayed all that r has written so far.
func (r *Replica) CatchUp(t testing.TB, standby *Replica) {
	t.Helper()
	lsn := Ask(t, r.URL(), `pg_current_wal_flush_lsn()`)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if Ask(t, standby.URL(), `coalesce(pg_last_wal_replay_lsn() >= '`+lsn+`', false)`) == "true" {
			return
		}
	}
	t.Fatal("the standby does not catch up")
}

// Promote makes a standby the primary, and returns when it can be written to.
func (r *Replica) Promote(t testing.TB) {
	t.Helper()
	if Ask(t, r.URL(), `pg_promote()`) != "true" {
		t.Fatal("the standby is not promoted")
	}
}

// SetReadOnly refuses all further writes, also those of open connections, as the old primary of a failover does.
func (r *Replica) SetReadOnly(t testing.TB) {
	t.Helper()
	Exec(t, r.URL(), `ALTER SYSTEM SET default_transaction_read_only = on`)
	Exec(t, r.URL(), `SELECT pg_reload_conf()`)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if Ask(t, r.URL(), `current_setting('transaction_read_only')`) == "on" {
			return
		}
	}
	t.Fatal("the server is not read-only")
}

// Stop stops the server for good and removes its data; a second call does nothing.
func (r *Replica) Stop() {
	_ = r.own.Stop(context.Background())
	_ = os.RemoveAll(r.base)
}
