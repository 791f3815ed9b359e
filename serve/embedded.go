package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/store/schema"
)

// foundation is what a process stands on: configured parts, or embedded ones where nothing is configured.
//
//	PostgreSQL     DATABASE_URL (and LOADER_DATABASE_URL for workers), else a private cluster below the data directory
//	object store   S3_BUCKET, else a directory below the data directory
//	tokens         AUTH_JWKS_URL, else tokens of our own; see run.go
//	queue          SQS_QUEUE_URL, else PostgreSQL's notifications alone
//	customer key   MILLRACE_CUSTOMER_SECRET, else a file in the data directory
type foundation struct {
	store      *store.Store
	objects    objects.Store // asks the owner before it deletes
	owner      *store.Owner
	queue      *queue.Queue // nil: none is configured
	models     *plan.Models
	customers  customer.Key
	databaseIs string
	objectsAre string
	closers    []func(context.Context) error // in order of opening
}

// lay opens everything. On an error nothing is left open.
func lay(ctx context.Context, c RunConfig, metrics *metrics.Metrics) (_ *foundation, err error) {
	f := new(foundation)
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
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
	if err := duty.StartOwner(ctx, f.owner); err != nil {
		return nil, err
	}
	return f, f.openQueue(ctx, c)
}

// refused gives the bundles that are refused at present; nil if there is no directory of bundles.
func (f *foundation) refused() func() []plan.RefusedBundle {
	if f.models.Dir == "" {
		return nil
	}
	return f.models.Refusals.List
}

func (f *foundation) openDatabase(ctx context.Context, c RunConfig) error {
	url, loader := c.DatabaseURL, c.LoaderURL
	f.databaseIs = "the PostgreSQL of DATABASE_URL"
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
		own, err := cluster.Start(ctx, cluster.Config{Dir: dir, Log: func(line string) { c.Log.Info(line) }})
		if err != nil {
			return fmt.Errorf("start private PostgreSQL: %w", err)
		}
		f.closers = append(f.closers, own.Stop)
		url = own.URL()
		f.databaseIs = "a private PostgreSQL in " + dir
	}
	return f.openStore(ctx, url, loader, c)
}

// openStore migrates if that is this process's to do, and opens the database.
func (f *foundation) openStore(ctx context.Context, url, loader string, c RunConfig) error {
	if err := prepareSchema(ctx, url, c); err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Config{
		URL: url, LoaderURL: loader, ConnsMax: c.DatabaseConns, ConnsKept: c.DatabaseKept,
		Lease: c.Lease, WaitingMax: c.WaitingMax, Log: c.Log, Circuits: c.circuits,
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

// prepareSchema migrates, unless that is someone else's: then it looks whether it has been done.
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

// openObjects needs the database: the two must belong together.
func (f *foundation) openObjects(ctx context.Context, c RunConfig) error {
	var o objects.Store
	var err error
	if c.S3.Bucket != "" {
		f.objectsAre = "the bucket " + path.Join(c.S3.Bucket, c.S3.Prefix)
		c.S3.Log, c.S3.Circuits = c.Log, c.circuits
		if o, err = objects.OpenS3(ctx, c.S3); err == nil {
			err = askBucket(ctx, o, c)
		}
	} else {
		dir := filepath.Join(c.DataDir, "objects")
		f.objectsAre = "files in " + dir
		o, err = objects.OpenDirectory(dir)
	}
	if err != nil {
		return err
	}
	f.owner = store.NewOwner(f.store, o, c.Log)
	f.objects = f.owner.Objects()
	return nil
}

// askBucket refuses a bucket that does not exist. One that does not answer, or refuses, may do so later: readiness shows it.
func askBucket(ctx context.Context, o objects.Store, c RunConfig) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	err := store.PingObjects(ctx, o)
	if errors.Is(err, objects.ErrNoBucket) {
		return fmt.Errorf("bucket %s: %w", c.S3.Bucket, err)
	}
	if err != nil {
		c.Log.Warn("the bucket does not answer yet", "bucket", c.S3.Bucket, "error", err)
	}
	return nil
}

const askTime = 5 * time.Second // for a bucket, at the start

func (f *foundation) openQueue(ctx context.Context, c RunConfig) (err error) {
	if c.Queue.URL == "" {
		return nil
	}
	c.Queue.Log, c.Queue.Circuits = c.Log, c.circuits
	f.queue, err = queue.Open(ctx, c.Queue)
	return err
}

// close closes everything in reverse order, even if ctx has ended.
func (f *foundation) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var err error
	for i := len(f.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, f.closers[i](ctx))
	}
	f.closers = nil
	return err
}
