package storetest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// SmallDisk mounts a disk of a size, such as "200m", that other users may enter too, and returns its directory. It needs
// root.
func SmallDisk(t testing.TB, size string) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "millrace-disk-") // t.TempDir is closed to the user that PostgreSQL runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := syscall.Mount("none", dir, "tmpfs", 0, "mode=0711,size="+size); err != nil {
		t.Skipf("NOT TESTED: a small disk cannot be mounted here (%v)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// FillDisk leaves no room on a small disk until the returned function is called.
func FillDisk(t testing.TB, dir string) (makeRoom func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{64 << 10, 1} { // to the last byte
		for block, full := make([]byte, size), error(nil); full == nil; {
			_, full = f.Write(block)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
}
