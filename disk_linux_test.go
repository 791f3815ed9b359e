package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/cluster"
)

// The disk of PostgreSQL fills up: uploads are refused for now or wait, no attempt is charged, and with room again
// everything goes on without a restart of anything.
func TestDatabaseDiskFull(t *testing.T) {
	dir, err := os.MkdirTemp("", "millrace-disk-") // t.TempDir is closed to the user that the server runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=200m,mode=0711"); err != nil {
		t.Skipf("NOT TESTED: a small disk cannot be mounted here (%v)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	own, err := cluster.Start(t.Context(), cluster.Config{Dir: filepath.Join(dir, "postgres")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r := start(t, func(c *serve.RunConfig) { c.DatabaseURL = own.URL() })
	file := readSample(t, "telecom_10k.csv")
	var ids []string
	for range 2 {
		ids = append(ids, r.wait(t, r.upload(t, file).ID).ID)
	}
	filler := fillDisk(t, dir)
	full := 0
	for end := time.Now().Add(time.Minute); full == 0 && time.Now().Before(end); {
		status, body := r.Do(t, http.MethodPost, "/upload", strings.NewReader(file), "Content-Type", "text/csv")
		switch {
		case status/100 == 2:
			ids = append(ids, decodePrediction(t, body).ID)
		case status == http.StatusServiceUnavailable && strings.Contains(string(body), "ERR-15"):
			full++
		default:
			t.Fatalf("%d %s", status, body)
		}
		if r.postponed(t) {
			full++
		}
	}
	if full == 0 {
		t.Fatal("the disk was never full")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	want := scoredOffline(t, "telecom", file)
	for _, id := range ids {
		r.wait(t, id)
		if _, result := r.Do(t, http.MethodGet, "/predictions/"+id+"/download", nil); string(result) != want {
			t.Errorf("%s: other bytes than the command line makes", id)
		}
	}
	if n := askNumber(t, own.URL(), `SELECT count(*) FROM prediction_failures`); n != 0 {
		t.Errorf("%d attempts were charged", n)
	}
	t.Logf("%d predictions", len(ids))
}

// fillDisk leaves no room on a disk.
func fillDisk(t *testing.T, dir string) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for block := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	return filler
}

// postponed says whether a part has been put off.
func (r *running) postponed(t *testing.T) bool {
	t.Helper()
	for line := range strings.Lines(r.scrape(t)) {
		if strings.Contains(line, `"postponed"}`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return true
		}
	}
	return false
}
