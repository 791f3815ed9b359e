package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/schema"
)

// dependencies are the stores and models that a process needs: configured ones, or embedded ones where nothing is
// configured.
//
//	PostgreSQL     DATABASE_URL (and LOADER_DATABASE_URL for workers), else a private cluster below the data directory
//	object store   S3_BUCKET, else a directory below the data directory
//	tokens         AUTH_JWKS_URL, else development tokens; see run.go
//	queue          SQS_QUEUE_URL, else PostgreSQL's notifications alone
//	customer key   MILLRACE_CUSTOMER_SECRET, else a file in the data directory
type dependencies struct {
	store        *store.Store
	objects      objects.Store // checks the ownership of the bucket before it deletes
	owner        *store.Owner
	queue        *queue.Queue // nil if none is configured
	models       *plan.Models
	kept         *plan.KeptModels
	customers    customer.Key
	databaseText string
	objectsText  string
	own          *cluster.Cluster              // nil: the database is another's
	closers      []func(context.Context) error // in order of opening
}

// openDependencies opens everything. On an error it closes what was already open.
func openDependencies(ctx context.Context, c RunConfig, metrics *metrics.Metrics) (_ *dependencies, err error) {
	f := new(dependencies)
	defer func() {
		if err != nil {
			err = errors.Join(withAdvice(err, c.DataDir), f.close())
		}
	}()
	if f.models, err = plan.OpenModels(c.BundleDir, c.API.Scorer, metrics, c.Log); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.DataDir, 0o755); err != nil { // the cluster's own user must pass through
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if f.customers, err = openCustomerKey(c.CustomerSecret, c.DataDir); err != nil {
		return nil, err
	}
	if err := f.openDatabase(ctx, c); err != nil {
		return nil, err
	}
	if err := f.openObjects(ctx, c); err != nil {
		return nil, err
	}
	if err := duty.CheckOwnership(ctx, f.owner); err != nil {
		return nil, err
	}
	f.kept = plan.NewKeptModels(plan.KeptParts{
		Registry: f.models.Registry, Models: f.store.Models, Objects: f.objects, Metrics: metrics, Log: c.Log,
		Check: f.models.CheckScorer,
	})
	return f, f.openQueue(ctx, c)
}

// withAdvice adds to an error about a data directory that cannot be written to what can be done.
func withAdvice(err error, dir string) error {
	var at *fs.PathError
	if errors.As(err, &at) && (strings.HasPrefix(at.Path, dir) || strings.HasPrefix(dir, at.Path)) &&
		(errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)) {
		return fmt.Errorf("%w: choose a directory that can be written to with --data-dir", err)
	}
	return err
}

// refusedBundles returns a function that lists the refused bundles; nil if no directory of bundles is configured.
func (f *dependencies) refusedBundles() func() []plan.RefusedBundle {
	if f.models.Dir == "" {
		return nil
	}
	return f.models.Refusals.List
}

func (f *dependencies) openDatabase(ctx context.Context, c RunConfig) error {
	url, loader := c.DatabaseURL, c.LoaderURL
	f.databaseText = "the PostgreSQL of DATABASE_URL"
	switch {
	case url == "" && loader != "" && c.Role == RoleWorker:
		url, loader = loader, ""
	case url == "" && loader != "":
		return errors.New("LOADER_DATABASE_URL is for workers: requests need DATABASE_URL")
	case c.Role == RoleAPI:
		loader = "" // a process that answers requests only does not hold it
	}
	if url == "" {
		dir := filepath.Join(c.DataDir, "postgres")
		own, err := cluster.Start(ctx, cluster.Config{
			Dir: dir, Log: func(line string) { c.Log.Info(line) }, Warn: func(line string) { c.Log.Warn(line) },
		})
		if err != nil {
			return fmt.Errorf("start private PostgreSQL: %w", err)
		}
		f.own = own
		f.closers = append(f.closers, own.Stop)
		url = own.URL()
		f.databaseText = "a private PostgreSQL in " + dir
	}
	return f.openStore(ctx, url, loader, c)
}

// openStore prepares the schema and opens the database.
func (f *dependencies) openStore(ctx context.Context, url, loader string, c RunConfig) error {
	if err := prepareSchema(ctx, url, c); err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Config{
		URL: url, LoaderURL: loader, ConnsMax: c.DatabaseConns, ConnsKept: c.DatabaseKept,
		Lease: c.Lease, WaitingMax: c.WaitingMax, Log: c.Log, Circuits: c.circuits,
		Deadly: store.Failure{
			Code: fault.CodeEndedWorker.String(), Stage: "lease", Message: fault.CodeEndedWorker.Message(),
		},
	})
	if err != nil {
		return err
	}
	f.store = s
	f.closers = append(f.closers, func(context.Context) error {
		s.Close()
		return nil
	})
	if c.Role != RoleAPI && !s.MayWork() {
		return errors.New("the user of DATABASE_URL may answer requests only: workers need LOADER_DATABASE_URL")
	}
	return nil
}

// prepareSchema runs the migrations, or only checks that they have been run: if migration is a separate step
// (MigratedApart, LOADER_DATABASE_URL), or if the login does not own the schema.
func prepareSchema(ctx context.Context, url string, c RunConfig) error {
	owns := !c.MigratedApart && c.LoaderURL == ""
	if owns {
		var err error
		if owns, err = schema.Owns(ctx, url); err != nil {
			return err
		}
	}
	if owns {
		return schema.Migrate(ctx, url, c.Migrations)
	}
	if err := schema.Check(ctx, url, c.Migrations); err != nil {
		return err
	}
	c.Log.Info("database: nothing is migrated by this process; the schema is current")
	return nil
}

// openObjects opens the object store. It needs the database, which records the owner of the store.
func (f *dependencies) openObjects(ctx context.Context, c RunConfig) error {
	var o objects.Store
	var err error
	if c.S3.Bucket != "" {
		f.objectsText = "the bucket " + path.Join(c.S3.Bucket, c.S3.Prefix)
		c.S3.Log, c.S3.Circuits = c.Log, c.circuits
		if o, err = objects.OpenS3(ctx, c.S3); err == nil {
			err = checkBucket(ctx, o, c)
		}
	} else {
		dir := filepath.Join(c.DataDir, "objects")
		f.objectsText = "files in " + dir
		o, err = objects.OpenDirectory(dir)
	}
	if err != nil {
		return err
	}
	f.owner = store.NewOwner(f.store, o, c.Log)
	f.objects = f.owner.Objects()
	return nil
}

// checkBucket returns an error for a bucket that does not exist. A bucket that is unavailable or refuses the request is
// only logged: it may recover, and readiness reports it.
func checkBucket(ctx context.Context, o objects.Store, c RunConfig) error {
	ctx, cancel := context.WithTimeout(ctx, bucketCheckTimeout)
	defer cancel()
	err := store.PingObjects(ctx, o)
	if errors.Is(err, objects.ErrNoBucket) {
		return fmt.Errorf("bucket %s: %w", c.S3.Bucket, err)
	}
	if err != nil {
		c.Log.Warn("bucket unavailable at start", "bucket", c.S3.Bucket, "error", err)
	}
	return nil
}

const bucketCheckTimeout = 5 * time.Second // for a bucket, at the start

func (f *dependencies) openQueue(ctx context.Context, c RunConfig) (err error) {
	if c.Queue.URL == "" {
		return nil
	}
	c.Queue.Log, c.Queue.Circuits = c.Log, c.circuits
	f.queue, err = queue.Open(ctx, c.Queue)
	return err
}

// close closes everything in reverse order of opening, within closeTimeout.
func (f *dependencies) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var err error
	for i := len(f.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, f.closers[i](ctx))
	}
	f.closers = nil
	return err
}
