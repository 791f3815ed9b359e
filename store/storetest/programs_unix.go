//go:build unix

package storetest

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// CopyPrograms copies PostgreSQL's programs and returns their directory. The copy is removed when the test ends.
func CopyPrograms(t testing.TB) (bin string) {
	t.Helper()
	c := postgres.get(t, startPostgres)
	root, err := makeDir("programs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	where := func(name string) string {
		return Ask(t, c.URL(), `SELECT setting FROM pg_config() WHERE name = '`+name+`'`)
	}
	share := where("SHAREDIR") // is found by its place beside the programs
	if err := os.MkdirAll(filepath.Dir(root+share), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(share, root+share); err != nil {
		t.Fatal(err)
	}
	bin = root + where("BINDIR")
	for _, program := range []string{"postgres", "initdb"} {
		copyFile(t, filepath.Join(where("BINDIR"), program), filepath.Join(bin, program))
	}
	for _, library := range libraries(t, where("PKGLIBDIR")) {
		copyFile(t, filepath.Join(where("PKGLIBDIR"), library), filepath.Join(root+where("PKGLIBDIR"), library))
	}
	return bin
}

// ReplacePrograms puts new files in the place of copied programs one after the other, as an upgrade of a package does.
func ReplacePrograms(t testing.TB, bin string) {
	t.Helper()
	c := postgres.get(t, startPostgres)
	lib, err := filepath.Rel(Ask(t, c.URL(), `SELECT setting FROM pg_config() WHERE name = 'BINDIR'`),
		Ask(t, c.URL(), `SELECT setting FROM pg_config() WHERE name = 'PKGLIBDIR'`))
	if err != nil {
		t.Fatal(err)
	}
	lib = filepath.Join(bin, lib)
	for _, name := range libraries(t, lib) {
		copyFile(t, filepath.Join(lib, name), filepath.Join(lib, name))
	}
	for _, name := range []string{"initdb", "postgres"} {
		copyFile(t, filepath.Join(bin, name), filepath.Join(bin, name))
	}
}

// libraries lists the libraries in a directory that a cluster and its functions need.
func libraries(t testing.TB, dir string) (names []string) {
	t.Helper()
	for _, pattern := range []string{"plpgsql.*", "dict_snowball.*", "libpqwalreceiver.*"} {
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	return names
}

// copyFile makes a new file, also where there is one.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to+".new", b, 0o755) // #nosec G306 -- a program
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}
