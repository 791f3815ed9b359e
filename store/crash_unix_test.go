//go:build unix

package store_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
	"github.com/retainwise/millrace/store/schema"
)

// ownCluster is a server that a test may kill.
func ownCluster(t *testing.T) (dir string, start func() *cluster.Cluster) {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir, func() *cluster.Cluster {
		c, err := cluster.Start(context.Background(), cluster.Config{Dir: filepath.Join(dir, "cluster")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Stop(context.Background()) })
		return c
	}
}

func TestCommitPart_ServerKilled(t *testing.T) {
	dir, start := ownCluster(t)
	c := start()
	if err := schema.Migrate(t.Context(), c.URL(), migrations.FS); err != nil {
		t.Fatal(err)
	}
	b := bench{TB: t, url: c.URL()}
	b.Store = openAt(t, c.URL())
	b.user, _ = b.Accounts.EnsureUser(t.Context(), "user_1")
	p := b.upload(2000, 2000)
	b.mustScore(b.claim("w"))
	claim := b.claim("w")
	blocks := encode(t, claim.PredictionID, scoredRows(claim.Part, nil))
	source := io.MultiReader(bytes.NewReader(blocks), readFunc(func([]byte) (int, error) {
		kill(t, filepath.Join(dir, "cluster", "data", "postmaster.pid"))
		<-c.Exited()
		time.Sleep(50 * time.Millisecond)
		return 0, io.EOF
	}))
	_, err := b.Ledger.CommitPart(t.Context(), claim, store.PartResult{Scored: 2000}, source)
	if err == nil || !store.Unavailable(err) {
		t.Fatalf("commit without a server: %v", err)
	}
	_ = c.Stop(t.Context())
	b.url = start().URL()
	wantEqual(t, "rows", b.reload(p).Scored, 2000)
	wantEqual(t, "stored rows", ask[int](b, `SELECT count(*)::int FROM prediction_rows`), 2000)
	last := b.mustScore(claim) // the lease still holds: nothing was lost but the time
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "stored rows", ask[int](b, `SELECT count(DISTINCT row_no)::int FROM prediction_rows`), 4000)
}

func kill(t *testing.T, note string) {
	b, err := os.ReadFile(note)
	if err != nil {
		t.Error(err)
		return
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err == nil {
		// The whole group: a postmaster's children notice its end only when they look.
		err = syscall.Kill(-pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Error(err)
	}
}
