//go:build unix

package cluster

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// programs are the files that a running server is made of: its program and the library of its functions, which each
// session would load from the disk. An upgrade of the package replaces both under it.
type programs struct {
	program, library         string // paths
	programFile, libraryFile file
}

// file is what tells a file from the one that replaces it; zero if there is none.
type file struct {
	inode    uint64
	bytes    int64
	modified time.Time
}

func identify(name string) file {
	stat, err := os.Stat(name)
	if err != nil {
		return file{}
	}
	f := file{bytes: stat.Size(), modified: stat.ModTime()}
	if sys, ok := stat.Sys().(*syscall.Stat_t); ok {
		f.inode = sys.Ino
	}
	return f
}

// findPrograms asks the server where its library is.
func (s *server) findPrograms(ctx context.Context, conn *pgx.Conn) error {
	var library string
	err := conn.QueryRow(ctx, `SELECT setting || '/plpgsql' FROM pg_config() WHERE name = 'PKGLIBDIR'`).Scan(&library)
	if err != nil {
		return err
	}
	for _, suffix := range []string{".so", ".dylib"} {
		if identify(library+suffix) != (file{}) {
			library += suffix
			break
		}
	}
	s.programs = programs{program: s.command.Path, library: library}.now()
	return nil
}

// now returns the same programs as they are on the disk.
func (p programs) now() programs {
	p.programFile, p.libraryFile = identify(p.program), identify(p.library)
	return p
}

// complete reports whether no file is missing, as in the middle of an upgrade and after the package was removed.
func (p programs) complete() bool { return p.programFile != (file{}) && p.libraryFile != (file{}) }

func (p programs) dir() string { return filepath.Dir(p.program) }
