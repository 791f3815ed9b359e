package serve

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
)

// Installation is the database and the object store of a configuration, for operators' commands.
type Installation struct {
	Store   *store.Store
	Owner   *store.Owner
	Objects string // in words
}

// WithInstallation opens the database and the object store that [Run] would use, calls do and closes them. It uses a
// private PostgreSQL that a server has started, or else starts one for the duration of the call. It does not check that
// database and object store belong together: do must, if it deletes.
func WithInstallation(ctx context.Context, c RunConfig, do func(Installation) error) (err error) {
	f := new(dependencies)
	defer func() { err = errors.Join(err, f.close()) }()
	c.Role = RoleWorker
	dir := filepath.Join(c.DataDir, "postgres")
	running := false
	if c.DatabaseURL == "" && c.LoaderURL == "" {
		var url string
		if url, running, err = cluster.Running(cluster.Config{Dir: dir}); err != nil {
			return fmt.Errorf("find private PostgreSQL: %w", err)
		}
		if running {
			err = f.openStore(ctx, url, "", c)
		}
	}
	if !running {
		err = f.openDatabase(ctx, c)
	}
	if err == nil {
		err = f.openObjects(ctx, c)
	}
	if err != nil {
		return err
	}
	return do(Installation{Store: f.store, Owner: f.owner, Objects: f.objectsText})
}
