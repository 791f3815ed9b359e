package serve_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
)

// The disk of the objects fills up: uploads are refused for now, a part waits without an attempt being charged, and both
// go on when there is room again.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("NOT TESTED: a small disk cannot be mounted here (%v)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	objects, err := store.OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := startAPI(t, func(_ *serve.Config, p *serve.Parts) { p.Objects = objects })
	a.objects, a.dir = objects, dir
	id := a.upload(telecom)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("the disk is too large")
	}
	r := a.post("/upload", telecom+strings.Repeat("x,1,1,1,One year\n", 10_000))
	if e := r.wantError(t, http.StatusServiceUnavailable, "ERR-1505"); !e.Retryable || r.header.Get("Retry-After") == "" {
		t.Errorf("%+v", e)
	}
	a.work()
	for strings.Contains(a.attemptsTotal(t), `"postponed"} 0`) {
		time.Sleep(20 * time.Millisecond)
	}
	if !strings.Contains(a.attemptsTotal(t), `"failed"} 0`) {
		t.Error("an attempt was charged")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if view := a.ended(id); view["status"] != "completed" {
		t.Errorf("%v", view)
	}
	a.finished(telecom)
}
