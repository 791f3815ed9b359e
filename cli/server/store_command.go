package server

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

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// storeCommand groups the commands for operators when database and object store do not match. They use the same database
// and store as serve with the same flags.
type storeCommand struct {
	Adopt   storeAdoptCommand   `cmd:"" help:"Make the database the only owner of the object store; every other database that used it is refused from then on."`
	Check   storeCheckCommand   `cmd:"" help:"Compare the database with the object store, read-only; exits with 65 if they differ."`
	Orphans storeOrphansCommand `cmd:"" help:"List orphaned objects that the last sweep found, or confirm their deletion after a stopped sweep."`
}

// storeFlags select the database and the object store, for serve and for the commands that use them beside it.
type storeFlags struct {
	DataDir     string `env:"MILLRACE_DATA_DIR" help:"Data directory of the embedded PostgreSQL, object store and keys (default: ~/.local/share/millrace, or /var/lib/millrace as root)." placeholder:"DIR"`
	DatabaseURL string `secret:"" env:"DATABASE_URL" help:"PostgreSQL connection URL (default: a private PostgreSQL in the data directory; Linux and macOS only)." placeholder:"URL"`
	LoaderURL   string `name:"loader-database-url" secret:"" env:"LOADER_DATABASE_URL" help:"Connection URL of the same database with a login in the role millrace_loader, used by workers and by millrace store; DATABASE_URL is then used by API requests only." placeholder:"URL"`
	MigrateURL  string `name:"migrate-database-url" secret:"" env:"MIGRATE_DATABASE_URL" help:"Connection URL that millrace migrate uses. If set, this process only checks the schema version and does not migrate." placeholder:"URL"`
	S3Bucket    string `name:"s3-bucket" aliases:"s-3-bucket" env:"S3_BUCKET" help:"S3 bucket for uploads and results (default: a directory below the data directory)." placeholder:"NAME"`
	S3Prefix    string `name:"s3-prefix" env:"S3_PREFIX" help:"Prefix of all object keys in the S3 bucket, for a bucket shared with other programs." placeholder:"PREFIX"`
	S3Endpoint  string `name:"s3-endpoint" aliases:"s-3-endpoint" env:"S3_ENDPOINT" help:"S3 endpoint URL (default: AWS)." placeholder:"URL"`
	S3Checksums string `name:"s3-checksums" env:"MILLRACE_S3_CHECKSUMS" enum:",when_supported,when_required" default:"" help:"Checksums of S3 requests and answers: when_supported or when_required, for servers that reject those that S3 does not require (default: AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION, else when_supported)." placeholder:"WHEN"`
	S3Region    string `name:"s3-region" aliases:"s-3-region" env:"AWS_REGION" default:"us-east-1" help:"AWS region of the S3 bucket and the SQS queue."`
}

// bucket is the configuration of the object store; without a bucket it is a directory.
func (f storeFlags) bucket() objects.S3Config {
	return objects.S3Config{
		Bucket: f.S3Bucket, Prefix: f.S3Prefix, Endpoint: f.S3Endpoint, Region: f.S3Region,
		Checksums: objects.Checksums(f.S3Checksums),
	}
}

// open calls do with the database and the object store. It migrates the schema only if migrate is true.
func (f storeFlags) open(ctx context.Context, std cli.Streams, migrate bool, do func(serve.Installation) error) error {
	dir, err := filepath.Abs(cmp.Or(f.DataDir, defaultDataDir(os.Getuid(), homeDir())))
	if err != nil {
		return err
	}
	if err := f.requireEmbedded(dir); err != nil {
		return err
	}
	url, loader := f.DatabaseURL, f.LoaderURL
	if loader != "" { // operators need the rights of workers
		url, loader = loader, ""
	}
	opened := false
	err = serve.WithInstallation(ctx, serve.RunConfig{
		DataDir: dir, Migrations: migrations.FS, DatabaseURL: url, LoaderURL: loader, MigratedApart: !migrate || f.MigrateURL != "",
		S3:  f.bucket(),
		Log: serve.NewLogger(std.Err, slog.LevelWarn),
	}, func(i serve.Installation) error {
		opened = true
		return do(i)
	})
	if !opened {
		return notStarted(err)
	}
	return err
}

// requireEmbedded returns an error if a flag is missing and the data directory has no embedded server in its place: a
// newly created database and store would match.
func (f storeFlags) requireEmbedded(dir string) error {
	needed := dir // the private PostgreSQL may be elsewhere, where its user has access
	switch {
	case f.S3Bucket == "":
		needed = filepath.Join(dir, "objects")
	case f.DatabaseURL != "" || f.LoaderURL != "":
		return nil
	}
	if _, err := os.Stat(needed); err != nil {
		return cli.Usage("there is no %s: give the data directory, the database and the bucket that serve "+
			"uses", needed)
	}
	return nil
}

type storeAdoptCommand struct{ storeFlags }

// Run adopts the store.
func (c *storeAdoptCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.open(ctx, std, true, func(i serve.Installation) error {
		a, err := i.Owner.Adopt(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Out, "before: database %s, %s %s (%s)\nnow:    installation %s owns both\n",
			markText(a.Database), i.Objects, markText(a.Store), a.State, a.Now.Installation)
		return err
	})
}

func markText(m objects.Mark) string {
	if m.Installation == uuid.Nil {
		return "without a mark"
	}
	return fmt.Sprintf("installation %s, sweep %d", m.Installation, m.Sweeps)
}

type storeCheckCommand struct {
	storeFlags
	Digests bool `default:"true" negatable:"" help:"Read every object with a recorded digest in full and compare the digest."`
}

// Run compares database and store.
func (c *storeCheckCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.open(ctx, std, false, func(i serve.Installation) error {
		problems := 0
		checked, err := i.Store.Upkeep.CheckObjects(ctx, i.Owner.Objects(), c.Digests, func(p store.Problem) {
			problems++
			_, _ = fmt.Fprintf(std.Out, "%s\t%s\t%s\n", p.What, cmp.Or(p.Of, "-"), p.Key)
		})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(std.Err, "%d objects of rows, %d of them read whole; %d objects stored, %d not needed any more; %d problems\n",
			checked.Rows, checked.Digests, checked.Objects, checked.NotNeeded, problems)
		if problems > 0 {
			return cli.Plain(cli.ExitData, "database and object store do not agree in %d places", problems)
		}
		return nil
	})
}

type storeOrphansCommand struct {
	storeFlags
	Confirm int `default:"-1" help:"Allow the next sweep to delete the objects of unknown owners; COUNT must be the number that is listed." placeholder:"COUNT"`
}

// Run lists the orphans that a sweep found, or confirms their deletion.
func (c *storeOrphansCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.open(ctx, std, false, func(i serve.Installation) error {
		if c.Confirm >= 0 {
			err := i.Store.Upkeep.ConfirmOrphans(ctx, c.Confirm)
			if errors.Is(err, store.ErrConflict) {
				return cli.Plain(cli.ExitData, "%v", err)
			}
			return err
		}
		list, err := i.Store.Upkeep.Orphans(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
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
		return c.printStopped(ctx, std, i.Store, unknown)
	})
}

func (c *storeOrphansCommand) printStopped(ctx context.Context, std cli.Streams, s *store.Store, unknown int) error {
	h, err := s.Upkeep.Housekeeping(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Err, "%d objects of unknown owners\n", unknown)
	if h.Stopped != nil {
		_, err = fmt.Fprintf(std.Err, "sweeps are stopped since %s: %s\nto let them delete these objects: "+
			"millrace store orphans --confirm %d\n", h.Stopped.At.UTC().Format(time.RFC3339), h.Stopped.Reason, unknown)
	}
	return err
}
