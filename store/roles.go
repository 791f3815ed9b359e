package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

// The roles that migrations make. The owner of the tables migrates; a service acts as these.
const (
	apiRole    = "millrace_api"    // requests, under row level security
	loaderRole = "millrace_loader" // workers and operators, past it
)

// ErrRole says that the database's user may not do what is asked of the process.
var ErrRole = errors.New("the database user lacks a role")

// access is what a database user may do.
type access struct {
	api, loader bool // may become the role
	owner       bool // has the rights of the tables' owner
	staged      bool // the loader's COPY is refused by row level security
}

// findAccess tries what a URL's user may do. The tables must be there.
func findAccess(ctx context.Context, config *pgx.ConnConfig) (a access, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return a, hideURL(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, `
		SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'predictions'::regclass`).Scan(&a.owner)
	if err == nil {
		a.api, _, err = become(ctx, conn, apiRole)
	}
	if err == nil {
		a.loader, a.staged, err = become(ctx, conn, loaderRole)
	}
	return a, err
}

// become tries to take a role on, and says whether row level security binds it.
func become(ctx context.Context, conn *pgx.Conn, role string) (may, bound bool, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT set_config('role', $1, true)`, role); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			SELECT row_security_active('prediction_blocks') FROM (SELECT count(*) FROM predictions WHERE false) t`).
			Scan(&bound)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && saysNo(pg.Code) {
		return false, false, nil
	}
	return err == nil, bound, err
}

// saysNo says of a SQLSTATE that it is the answer to what was asked: there is no such role or table, or it is not for us.
func saysNo(state string) bool {
	return strings.HasPrefix(state, "42") || strings.HasPrefix(state, "22")
}

// assume makes every connection of a pool act as a role.
func assume(pc *pgxpool.Config, role string) {
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET ROLE "+role)
		return err
	}
}

// MayWork says whether workers and operators can use this store; requests always can.
func (db *DB) MayWork() bool { return db.mayWork }

// CheckSchema says whether a database has the newest schema in files, or a later one. Any role may ask.
func CheckSchema(ctx context.Context, url string, files fs.FS) error {
	sources, err := newest(files)
	if err != nil {
		return fmt.Errorf("check schema: %w", err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("check schema: %w", hideURL(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var have int64
	err = conn.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && saysNo(pg.Code) {
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

// OwnsSchema says whether a URL's user may migrate: it has the rights of the tables' owner, or there are no tables yet.
func OwnsSchema(ctx context.Context, url string) (bool, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false, fmt.Errorf("find schema: %w", hideURL(err))
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

// newest is the number of the latest migration.
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
