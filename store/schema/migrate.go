// Package schema applies the migrations and checks which of them a database has.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/retainwise/millrace/store/internal/database"
)

// Migration is the state of one migration.
type Migration struct {
	Version int64
	Name    string
	Applied bool
}

// ErrForeignTables means that a schema holds another program's tables with the names of this one's. Nothing was changed.
var ErrForeignTables = errors.New("the schema holds another program's tables: give millrace a database of its own, " +
	"or a schema by search_path")

// Migrate brings the schema of a database to the newest version in files. Of several programs that migrate at once
// one does the work and the others wait for it. If
// the tables were not made by these migrations it is [ErrForeignTables].
func Migrate(ctx context.Context, url string, files fs.FS) error {
	return withGoose(url, files, func(db *sql.DB, p *goose.Provider) error {
		if err := refuseForeign(ctx, db); err != nil {
			return err
		}
		_, err := p.Up(ctx)
		return err
	})
}

func refuseForeign(ctx context.Context, db *sql.DB) error {
	var foreign bool
	err := db.QueryRowContext(ctx, `
		SELECT to_regclass('goose_db_version') IS NULL
		   AND num_nonnulls(to_regclass('users'), to_regclass('uploads'), to_regclass('predictions')) > 0`).Scan(&foreign)
	if err == nil && foreign {
		err = ErrForeignTables
	}
	return err
}

// Down takes the schema back to a version; 0 removes every table with its data.
func Down(ctx context.Context, url string, files fs.FS, version int64) error {
	return withGoose(url, files, func(_ *sql.DB, p *goose.Provider) error {
		_, err := p.DownTo(ctx, version)
		return err
	})
}

// Status lists the migrations in files, oldest first.
func Status(ctx context.Context, url string, files fs.FS) ([]Migration, error) {
	var list []Migration
	err := withGoose(url, files, func(_ *sql.DB, p *goose.Provider) error {
		states, err := p.Status(ctx)
		for _, st := range states {
			list = append(list, Migration{
				Version: st.Source.Version, Name: st.Source.Path, Applied: st.State == goose.StateApplied,
			})
		}
		return err
	})
	return list, err
}

func withGoose(url string, files fs.FS, do func(*sql.DB, *goose.Provider) error) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("migrate: %w", database.HideURL(err))
	}
	db := stdlib.OpenDB(*config, stdlib.OptionBeforeConnect(new(database.Hosts).Arrange))
	defer func() { _ = db.Close() }()
	p, err := newGoose(db, files)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := do(db, p); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func newGoose(db *sql.DB, files fs.FS) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
}
