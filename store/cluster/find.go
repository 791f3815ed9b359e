//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// majorMin is the oldest PostgreSQL whose views can check the reader's rights (security_invoker).
const majorMin = 15

// binaries are the programs of one PostgreSQL.
type binaries struct {
	dir   string
	major int
}

// binaryFolders are where systems and package managers put versions side by side.
var binaryFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/libexec/postgresql*",
	"/usr/pgsql-*/bin",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
}

// sources are where binaries come from.
type sources struct {
	path    string
	folders []string
	fetch   func(p place, scratch string, log func(string)) error
}

// chooseBinaries returns the newest PostgreSQL, or the newest of the version that the data need. Data of one version are
// never given to another.
func chooseBinaries(ctx context.Context, config Config, p place, major int, from sources) (binaries, error) {
	found := installed(ctx, config.BinDir, from.path, from.folders)
	if fetched := fetchedBinaries(ctx, p); config.BinDir == "" && fetched.major != 0 {
		found = append(found, fetched)
	}
	if err := ctx.Err(); err != nil {
		return binaries{}, err // which is why nothing was found
	}
	if len(found) == 0 && config.BinDir == "" {
		bin, err := fetchInto(ctx, config, p, from.fetch)
		if err != nil {
			return binaries{}, notInstalled(err)
		}
		found = append(found, bin)
	}
	if len(found) == 0 {
		return binaries{}, fmt.Errorf("no PostgreSQL %d or newer in %s", majorMin, config.BinDir)
	}
	return pick(found, major, p.data())
}

func pick(found []binaries, major int, data string) (binaries, error) {
	for _, b := range found {
		if major == 0 || b.major == major {
			return b, nil
		}
	}
	return binaries{}, fmt.Errorf("the data in %s are of PostgreSQL %d, installed is %d: install %d, "+
		"or dump the data with it and load them into a new directory", data, major, found[0].major, major)
}

// ErrNotInstalled means that there is no PostgreSQL on this machine and none could be fetched.
var ErrNotInstalled = errors.New("no PostgreSQL is installed")

func notInstalled(cause error) error {
	return fmt.Errorf("%w, and it could not be fetched (%w): install it "+
		"(Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; Alpine: apk add postgresql; "+
		"macOS: brew install postgresql), or set DATABASE_URL", ErrNotInstalled, cause)
}

// installed lists usable binaries, newest first. PATH wins among equals.
func installed(ctx context.Context, only, path string, folders []string) []binaries {
	dirs := []string{only}
	if only == "" {
		dirs = candidates(path, folders)
	}
	var found []binaries
	for _, dir := range dirs {
		if b, err := inspect(ctx, dir); err == nil && !slices.Contains(found, b) {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })
	return found
}

func candidates(path string, folders []string) []string {
	dirs := filepath.SplitList(path)
	for _, pattern := range folders {
		matches, _ := filepath.Glob(pattern) // fails for a bad pattern only
		dirs = append(dirs, matches...)
	}
	return dirs
}

// inspect looks at one directory. Links are followed, as the server looks for its files beside the real program.
func inspect(ctx context.Context, dir string) (binaries, error) {
	if !filepath.IsAbs(dir) {
		return binaries{}, errors.New("not an absolute directory")
	}
	server, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		return binaries{}, err
	}
	real := filepath.Dir(server)
	if _, err := os.Stat(filepath.Join(real, "initdb")); err != nil {
		return binaries{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, server, "--version").Output()
	if err != nil {
		return binaries{}, err
	}
	major, err := parseMajor(string(out))
	if err != nil || major < majorMin {
		return binaries{}, fmt.Errorf("version %d: %w", major, errors.Join(err, errors.ErrUnsupported))
	}
	return binaries{dir: real, major: major}, nil
}

// parseMajor reads "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", or 18beta1.
func parseMajor(version string) (int, error) {
	_, number, ok := strings.Cut(version, "(PostgreSQL) ")
	if !ok {
		return 0, errors.New("not the version of a PostgreSQL")
	}
	end := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(number)
	}
	return strconv.Atoi(number[:end])
}
