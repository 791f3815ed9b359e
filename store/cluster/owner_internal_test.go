//go:build unix

package cluster

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The server's user enters a directory by the one right that is theirs, whatever the others are.
func TestCanEnter(t *testing.T) {
	uid, gid := os.Getuid(), os.Getgid()
	owners := map[string]owner{
		"its owner": {uid: uid, gid: gid + 1, change: true}, "its group": {uid: uid + 1, gid: gid, change: true},
		"another": {uid: uid + 1, gid: gid + 1, change: true},
	}
	dir := NewDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(dir, 0o700) }() // #nosec G302 -- so that it can be removed
	for _, test := range []struct {
		mode os.FileMode
		who  string
		may  bool
	}{
		{0o700, "its owner", true},
		{0o700, "its group", false},
		{0o700, "another", false},
		{0o710, "its group", true},
		{0o710, "another", false},
		{0o701, "another", true},
		{0o701, "its group", false},
		{0o071, "its owner", false},
		{0o766, "another", false},
	} {
		if err := os.Chmod(dir, test.mode); err != nil {
			t.Fatal(err)
		}
		if got := owners[test.who].canEnter(filepath.Join(dir)); got != test.may {
			t.Errorf("%o: %s may enter: %v", test.mode, test.who, got)
		}
		if got := owners[test.who].canEnter(filepath.Join(dir, "not", "yet")); got != test.may && os.Getuid() == 0 {
			t.Errorf("%o: %s may go through: %v", test.mode, test.who, got)
		}
	}
	if !(owner{uid: uid + 1, gid: gid + 1}).canEnter(dir) {
		t.Error("who does not become another user enters as before")
	}
}

// What root has unpacked belongs to the server's user, links as such and not what they point at.
func TestOpenForOwner(t *testing.T) {
	who, err := findOwner()
	if err != nil {
		t.Fatal(err)
	}
	p := place{dir: NewDir(t), owner: who}
	program(t, filepath.Join(p.fetched(), "bin/postgres"), "exit 0")
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(p.fetched(), "bin/link")); err != nil {
		t.Fatal(err)
	}
	if err := p.openForOwner(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		p.fetched(): who.uid, filepath.Join(p.fetched(), "bin"): who.uid, outside: os.Getuid(),
		filepath.Join(p.fetched(), "bin/postgres"): who.uid, filepath.Join(p.fetched(), "bin/link"): who.uid,
	} {
		if got := uidOf(t, name); got != want {
			t.Errorf("%s belongs to %d, not %d", name, got, want)
		}
	}
	missing := place{dir: NewDir(t), owner: owner{change: true}}
	if err := missing.openForOwner(); err == nil {
		t.Error("nothing was opened")
	}
}

func uidOf(t *testing.T, name string) int {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}
