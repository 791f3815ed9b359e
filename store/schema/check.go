package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/retainwise/millrace/store/internal/database"
)

// Check returns an error unless a database has the newest migration in files, or a later one. Any role may call it.
func Check(ctx context.Context, url string, files fs.FS) error {
	sources, err := newest(files)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	conn, err := database.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var have int64
	err = conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && database.MissingOrDenied(pg.Code) {
		return fmt.Errorf("check schema: no version can be read (%s): run millrace migrate up as the owner", pg.Code)
	}
	if err == nil && have < sources {
		err = fmt.Errorf("version %d is older than %d: run millrace migrate up as the owner", have, sources)
	}
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	return nil
}

// Owns reports whether a URL's user may migrate: it has the rights of the tables' owner, or there are no tables yet.
func Owns(ctx context.Context, url string) (bool, error) {
	conn, err := database.Connect(ctx, url)
	if err != nil {
		return false, fmt.Errorf("find schema: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	owns := true
	err = conn.QueryRow(ctx, `
		SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('predictions')`).Scan(&owns)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("find schema: %w", err)
	}
	return owns, nil
}

// newest returns the number of the latest migration in files.
func newest(files fs.FS) (version int64, err error) {
	names, err := fs.Glob(files, "*.sql")
	for _, name := range names {
		n, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		version = max(version, n)
	}
	return version, err
}
