//go:build unix

package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const fetchTimeout = 5 * time.Minute

// fetched is the directory of downloaded binaries. Beside them the archive is kept: with it in place nothing is downloaded.
func (p place) fetched() string { return filepath.Join(p.dir, "fetched") }

func fetchedBinaries(ctx context.Context, p place) binaries {
	b, err := inspect(ctx, filepath.Join(p.fetched(), "bin"))
	if err != nil {
		return binaries{}
	}
	return b
}

// fetchInto runs fetch under a deadline, as the library has none, and looks at what came of it. An error of fetch does
// not matter if the binaries are there: as root the library unpacks them and then fails to run them.
func fetchInto(
	ctx context.Context, config Config, p place, fetch func(p place, scratch string, log func(string)) error,
) (binaries, error) {
	config.Log("no PostgreSQL is installed: fetching one")
	scratch, err := os.MkdirTemp("", "millrace-fetch-")
	if err != nil {
		return binaries{}, err
	}
	done := make(chan error, 1)
	go func() { done <- errors.Join(fetch(p, scratch, config.Log), os.RemoveAll(scratch)) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		return binaries{}, ctx.Err()
	case <-time.After(fetchTimeout):
		return binaries{}, fmt.Errorf("nothing after %s", fetchTimeout)
	}
	bin, inspectErr := inspect(ctx, filepath.Join(p.fetched(), "bin"))
	if inspectErr != nil {
		return binaries{}, errors.Join(err, inspectErr)
	}
	return bin, p.openForOwner()
}

// openForOwner lets the server's user run what root has unpacked.
func (p place) openForOwner() error {
	if !p.owner.change {
		return nil
	}
	root, err := os.OpenRoot(p.fetched())
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(name, p.owner.uid, p.owner.gid)
	})
}

// fetchEmbedded lets the library do all that it does (fetch, unpack, run) in throw-away directories, but for the
// binaries, and then stops it. It never sees the cluster's data: it would delete what it thinks is not its own. First it may only
// fetch: it unpacks below a link to nowhere, where it fails, so that the archive is checked before any of it
// is unpacked or run.
func fetchEmbedded(p place, scratch string, log func(string)) error {
	cache, nowhere := filepath.Join(p.fetched(), "cache"), filepath.Join(scratch, "nowhere")
	if err := os.Symlink(filepath.Join(scratch, "missing"), nowhere); err != nil {
		return err
	}
	fetching := embedded(cache, filepath.Join(nowhere, "binaries"), scratch)
	if fetching == nil {
		return errors.New("PostgreSQL was run before it was checked")
	}
	if err := checkArchives(cache, archiveDigest, log); err != nil {
		return errors.Join(err, fetching)
	}
	return embedded(cache, p.fetched(), scratch)
}

// embedded starts and stops a server of the library's.
func embedded(cache, binaries, scratch string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		CachePath(cache).
		BinariesPath(binaries).
		RuntimePath(filepath.Join(scratch, "runtime")).
		DataPath(filepath.Join(scratch, "data")).
		Port(port).Password(rand.Text()).Logger(io.Discard).StartTimeout(time.Minute))
	if err := server.Start(); err != nil {
		return err
	}
	return server.Stop()
}

func freePort() (uint32, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(errors.New("no TCP address"), l.Close())
	}
	return uint32(address.Port), l.Close()
}
