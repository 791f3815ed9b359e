//go:build unix

package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// place is the directory of a cluster:
//
//	lock        held while a millrace uses it
//	password    of the database user
//	data/       the cluster; data.new while it is being made
//	socket/     or a directory with a shorter name
//	server.log  of the last run
//	fetched/    binaries, if none were installed
type place struct {
	dir, socket string
	password    string
	owner       owner
	bin         binaries
}

// socketPathMax is the longest path of a Unix socket, less than the 104 bytes of BSD. The server adds its own name.
const socketPathMax = 103 - len("/.s.PGSQL.5432.lock")

// makePlace makes the directory, the password and the directory of the socket.
func makePlace(config Config, who owner) (place, error) {
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return place{}, err
	}
	p := place{dir: reachable(dir, who, config.Log), owner: who}
	if err := p.mkdir(p.dir); err != nil {
		return place{}, err
	}
	p.socket = filepath.Join(p.dir, "socket")
	if len(p.socket) > socketPathMax {
		p.socket = filepath.Join(os.TempDir(), "millrace-"+shortHash(p.dir))
	}
	if p.password, err = p.makePassword(); err != nil {
		return place{}, err
	}
	if err := p.mkdir(p.socket); err != nil && filepath.Dir(p.socket) != p.dir {
		return place{}, fmt.Errorf("%w: a socket in %s would have too long a name: choose a shorter directory", err, p.dir)
	} else if err != nil {
		return place{}, err
	}
	return p, p.ownSocket()
}

// reachable returns another directory if the server's user cannot enter the wanted one (root's home, for example). It
// does not open directories that were closed.
func reachable(dir string, who owner, log func(string)) string {
	if who.canEnter(filepath.Dir(dir)) {
		return dir
	}
	other := filepath.Join("/var/lib/millrace", shortHash(dir))
	log(fmt.Sprintf("user %s, which PostgreSQL runs as, cannot enter %s: the database is in %s", who.name, dir, other))
	return other
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}

func (p place) data() string         { return filepath.Join(p.dir, "data") }
func (p place) logFile() string      { return filepath.Join(p.dir, "server.log") }
func (p place) passwordFile() string { return filepath.Join(p.dir, "password") }

// mkdir makes a directory that only the server's user (and root) can enter. Its parents are left to the umask.
func (p place) mkdir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return p.owner.own(dir)
}

// ownSocket refuses a socket directory that another user could have prepared in a directory that all can write to.
func (p place) ownSocket() error {
	stat, err := os.Lstat(p.socket)
	if err != nil {
		return err
	}
	sys, ok := stat.Sys().(*syscall.Stat_t)
	if !ok || !stat.IsDir() || stat.Mode().Perm() != 0o700 || int(sys.Uid) != p.owner.uid {
		return fmt.Errorf("%s is not a directory of this user with mode 0700: remove it", p.socket)
	}
	return nil
}

// makePassword reads the password, or makes one. It is kept: the cluster knows no other.
func (p place) makePassword() (string, error) {
	if b, err := os.ReadFile(p.passwordFile()); err == nil && len(b) > 0 {
		return string(b), nil
	}
	if _, err := os.Stat(p.data()); err == nil {
		return "", fmt.Errorf("%s is missing, and the cluster beside it cannot be entered without", p.passwordFile())
	}
	password := rand.Text()
	if err := os.WriteFile(p.passwordFile(), []byte(password), 0o600); err != nil {
		return "", err
	}
	return password, p.owner.own(p.passwordFile())
}

// lock takes the directory for this process.
func (p place) lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(p.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s is %w", p.dir, ErrInUse)
	}
	return func() { _ = file.Close() }, nil
}

// dataMajor is the major version of PostgreSQL that made the data, 0 if there are none.
func (p place) dataMajor() (int, error) {
	b, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("version of the data in %s: %w", p.data(), err)
	}
	return major, nil
}

// initdb makes the cluster beside its place and moves it there when it is complete.
func (c *Cluster) initdb(ctx context.Context) error {
	fresh := filepath.Join(c.place.dir, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := c.place.mkdir(fresh); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	args := []string{
		"-D", fresh, "-U", userName, "-E", "UTF8", "--locale=C", "--data-checksums", "--no-instructions",
		"--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--pwfile=" + c.place.passwordFile(),
	}
	if c.config.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	out, err := c.owner.command(ctx, c.place, "initdb", args...).CombinedOutput()
	switch {
	case err == nil:
	case strings.Contains(string(out), "could not look up effective user ID"):
		return fmt.Errorf("user %d has no entry in /etc/passwd, which PostgreSQL's initdb needs: add one, preload "+
			"libnss_wrapper (LD_PRELOAD, NSS_WRAPPER_PASSWD, NSS_WRAPPER_GROUP), or set DATABASE_URL", c.owner.uid)
	default:
		return fmt.Errorf("%w: initdb: %w\n%s", ErrNotRunning, err, out)
	}
	return os.Rename(fresh, c.place.data())
}

// tail is the end of a text file.
func tail(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
