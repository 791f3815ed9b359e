package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store/cluster"
	"github.com/retainwise/millrace/store/schema"
)

// database is one that is measured: of a server that this process has started, with PostgreSQL's own settings but for
// where it listens, or that of Options.DatabaseURL, in which everything that was measured before is deleted.
type database struct {
	url  string
	conn *pgx.Conn
	own  *cluster.Cluster // nil: the server is another's
	dir  string
}

// benchSchema holds everything that is measured, apart from what else the database has.
const benchSchema = "millrace_bench"

func openDatabase(ctx context.Context, o Options) (d *database, err error) {
	d = &database{url: o.DatabaseURL}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.dir, err = os.MkdirTemp("", "millrace-bench-"); err != nil {
		return d, err
	}
	if d.url == "" {
		if err := os.Chmod(d.dir, 0o711); err != nil { // the server's own user must pass through
			return d, err
		}
		if d.own, err = cluster.Start(ctx, cluster.Config{Dir: filepath.Join(d.dir, "postgres")}); err != nil {
			return d, err
		}
		d.url = d.own.URL()
	}
	config, err := pgx.ParseConfig(d.url)
	if err != nil {
		return d, errors.New("the database URL cannot be parsed")
	}
	if d.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
		return d, err
	}
	return d, d.exec(ctx, `DROP SCHEMA IF EXISTS `+benchSchema+` CASCADE; CREATE SCHEMA `+benchSchema+`;
		SET search_path = `+benchSchema)
}

// exec runs statements without parameters.
func (d *database) exec(ctx context.Context, sql string) error {
	_, err := d.conn.Exec(ctx, sql)
	return err
}

// migrate makes the product's tables.
func (d *database) migrate(ctx context.Context) error {
	return schema.Migrate(ctx, d.schemaURL(), migrations.FS)
}

// openMigrated is openDatabase with the tables of the newest schema.
func openMigrated(ctx context.Context, o Options) (*database, error) {
	d, err := openDatabase(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// schemaURL is for connections that work in the schema that is measured.
func (d *database) schemaURL() string {
	separator := "?"
	if strings.Contains(d.url, "?") {
		separator = "&"
	}
	return d.url + separator + "search_path=" + benchSchema
}

// close leaves nothing behind.
func (d *database) close() error {
	ctx := context.Background()
	var err error
	if d.conn != nil {
		if d.own == nil {
			err = d.exec(ctx, `DROP SCHEMA IF EXISTS `+benchSchema+` CASCADE`)
		}
		err = errors.Join(err, d.conn.Close(ctx))
	}
	if d.own != nil {
		err = errors.Join(err, d.own.Stop(ctx))
	}
	if d.dir != "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}
