package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
)

// storeCommand groups what operators do when database and object store do not agree. It works with the database and the
// store that serve would work with.
type storeCommand struct {
	Adopt   storeAdoptCommand   `cmd:"" help:"Make the database the one owner of the object store. Every other database that worked with it is refused from then on."`
	Check   storeCheckCommand   `cmd:"" help:"Compare the database with the object store; change nothing. The exit status says whether all is there."`
	Orphans storeOrphansCommand `cmd:"" help:"List objects of unknown owners that the last sweep found, and let a stopped sweep go on."`
}

// storeFlags say which database and which object store, as for serve.
type storeFlags struct {
	DataDir     string `env:"MILLRACE_DATA_DIR" help:"Where embedded parts keep their data." placeholder:"DIR"`
	DatabaseURL string `env:"DATABASE_URL" help:"PostgreSQL; the private one of the data directory if not given." placeholder:"URL"`
	LoaderURL   string `name:"loader-database-url" env:"LOADER_DATABASE_URL" help:"The same database as a member of millrace_loader." placeholder:"URL"`
	MigrateURL  string `name:"migrate-database-url" env:"MIGRATE_DATABASE_URL" help:"If given, nothing is migrated." placeholder:"URL"`
	S3Bucket    string `name:"s3-bucket" aliases:"s-3-bucket" env:"S3_BUCKET" help:"Bucket for files; the data directory if not given." placeholder:"NAME"`
	S3Prefix    string `name:"s3-prefix" env:"S3_PREFIX" help:"What all keys in the bucket begin with." placeholder:"PREFIX"`
	S3Endpoint  string `name:"s3-endpoint" aliases:"s-3-endpoint" env:"S3_ENDPOINT" help:"S3 endpoint, if not that of AWS." placeholder:"URL"`
	S3Region    string `name:"s3-region" aliases:"s-3-region" env:"AWS_REGION" default:"us-east-1" help:"Region of the bucket."`
}

// open calls do with the database and the object store. The schema is only migrated if that is asked for.
func (f storeFlags) open(ctx context.Context, std streams, migrate bool, do func(serve.Installation) error) error {
	dir, err := filepath.Abs(cmp.Or(f.DataDir, defaultDataDir(os.Getuid(), homeDir())))
	if err != nil {
		return err
	}
	if err := f.embedded(dir); err != nil {
		return err
	}
	url, loader := f.DatabaseURL, f.LoaderURL
	if loader != "" { // operators work
		url, loader = loader, ""
	}
	return serve.WithInstallation(ctx, serve.RunConfig{
		DataDir: dir, Migrations: migrations.FS, DatabaseURL: url, LoaderURL: loader, MigratedApart: !migrate || f.MigrateURL != "",
		S3:  store.S3Config{Bucket: f.S3Bucket, Prefix: f.S3Prefix, Endpoint: f.S3Endpoint, Region: f.S3Region},
		Log: serve.NewLogger(std.err, slog.LevelWarn),
	}, do)
}

// embedded looks whether there is a data directory for what no flag names. A database and a store that were made just
// now would agree in everything.
func (f storeFlags) embedded(dir string) error {
	needed := dir // a private PostgreSQL may lie elsewhere, where its user can go
	switch {
	case f.S3Bucket == "":
		needed = filepath.Join(dir, "objects")
	case f.DatabaseURL != "" || f.LoaderURL != "":
		return nil
	}
	if _, err := os.Stat(needed); err != nil {
		return &plainError{fmt.Sprintf("there is no %s: give the data directory, the database and the bucket that serve "+
			"works with", needed)}
	}
	return nil
}

type storeAdoptCommand struct{ storeFlags }

// Run adopts the store.
func (c *storeAdoptCommand) Run(ctx context.Context, std streams) error {
	return c.open(ctx, std, true, func(i serve.Installation) error {
		a, err := i.Owner.Adopt(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.out, "before: database %s, %s %s (%s)\nnow:    installation %s owns both\n",
			markText(a.Database), i.Objects, markText(a.Store), a.State, a.Now.Installation)
		return err
	})
}

func markText(m store.Mark) string {
	if m.Installation == uuid.Nil {
		return "without a mark"
	}
	return fmt.Sprintf("installation %s, sweep %d", m.Installation, m.Sweeps)
}

type storeCheckCommand struct {
	storeFlags
	Digests bool `default:"true" negatable:"" help:"Read whole objects whose digest was recorded, and compare it."`
}

// Run compares database and store.
func (c *storeCheckCommand) Run(ctx context.Context, std streams) error {
	return c.open(ctx, std, false, func(i serve.Installation) error {
		problems := 0
		checked, err := i.Store.CheckObjects(ctx, i.Owner.Objects(), c.Digests, func(p store.Problem) {
			problems++
			_, _ = fmt.Fprintf(std.out, "%s\t%s\t%s\n", p.What, cmp.Or(p.Of, "-"), p.Key)
		})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(std.err, "%d objects of rows, %d of them read whole; %d objects stored, %d not needed any more; %d problems\n",
			checked.Rows, checked.Digests, checked.Objects, checked.NotNeeded, problems)
		if problems > 0 {
			return &plainError{fmt.Sprintf("database and object store do not agree in %d places", problems)}
		}
		return nil
	})
}

type storeOrphansCommand struct {
	storeFlags
	Confirm int `default:"-1" help:"That many objects of unknown owners are listed and may be deleted by the next sweep." placeholder:"COUNT"`
}

// Run lists what a sweep found, or confirms it.
func (c *storeOrphansCommand) Run(ctx context.Context, std streams) error {
	return c.open(ctx, std, false, func(i serve.Installation) error {
		if c.Confirm >= 0 {
			err := i.Store.ConfirmOrphans(ctx, c.Confirm)
			if errors.Is(err, store.ErrConflict) {
				return &plainError{err.Error()}
			}
			return err
		}
		list, err := i.Store.Orphans(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
		unknown := 0
		for _, o := range list {
			why := "not needed"
			if o.Unknown {
				why = "unknown owner"
				unknown++
			}
			_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", o.Modified.UTC().Format(time.RFC3339), o.Bytes, why, o.Key)
		}
		if err := table.Flush(); err != nil {
			return err
		}
		return c.saySummary(ctx, std, i.Store, unknown)
	})
}

func (c *storeOrphansCommand) saySummary(ctx context.Context, std streams, s *store.Store, unknown int) error {
	h, err := s.Housekeeping(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.err, "%d objects of unknown owners\n", unknown)
	if h.Stopped != nil {
		_, err = fmt.Fprintf(std.err, "sweeps are stopped since %s: %s\nto let them delete these objects: "+
			"millrace store orphans --confirm %d\n", h.Stopped.At.UTC().Format(time.RFC3339), h.Stopped.Reason, unknown)
	}
	return err
}
