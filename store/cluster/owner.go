//go:build unix

package cluster

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the user that the server runs as. PostgreSQL refuses to run as root.
type owner struct {
	name     string
	uid, gid int
	change   bool // the process is root and becomes that user
}

// findOwner returns the user of this process; for root the system user postgres, else the system user "nobody".
func findOwner() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{name: "uid " + strconv.Itoa(os.Geteuid()), uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2); err == nil && uid > 0 {
			return owner{name: name, uid: uid, gid: gid, change: true}, nil
		}
	}
	return owner{}, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as: " +
		"add one, or start millrace as another user")
}

// own makes the server's user the owner of a file.
func (o owner) own(name string) error {
	if !o.change {
		return nil
	}
	stat, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if sys, ok := stat.Sys().(*syscall.Stat_t); ok && int(sys.Uid) == o.uid && int(sys.Gid) == o.gid {
		return nil // the file system may be read-only
	}
	return os.Chown(name, o.uid, o.gid)
}

// canEnter reports whether the user may go through all directories up to this one. Those that do not exist yet will be
// made with rights for all.
func (o owner) canEnter(dir string) bool {
	if !o.change {
		return true
	}
	for ; ; dir = filepath.Dir(dir) {
		if stat, err := os.Stat(dir); err == nil && !o.mayEnter(stat) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (o owner) mayEnter(stat os.FileInfo) bool {
	sys, ok := stat.Sys().(*syscall.Stat_t)
	bit := os.FileMode(0o001)
	switch {
	case ok && int(sys.Uid) == o.uid:
		bit = 0o100
	case ok && int(sys.Gid) == o.gid:
		bit = 0o010
	}
	return stat.Mode().Perm()&bit != 0
}

// inherited are the variables that PostgreSQL's programs get from this process: where libraries are, and how a user without
// an entry in /etc/passwd is given one.
var inherited = []string{
	"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD", "NSS_WRAPPER_PASSWD", "NSS_WRAPPER_GROUP",
}

// command prepares one of PostgreSQL's programs, in a process group of its own so that a terminal's Ctrl-C reaches only
// millrace, with the little environment that it needs.
func (o owner) command(ctx context.Context, p place, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin.dir, program), args...)
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + p.bin.dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	for _, name := range inherited {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.change {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
	}
	return cmd
}
