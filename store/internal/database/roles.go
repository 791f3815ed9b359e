package database

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
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
		return a, HideURL(err)
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
	if errors.As(err, &pg) && MissingOrDenied(pg.Code) {
		return false, false, nil
	}
	return err == nil, bound, err
}

// MissingOrDenied says of a SQLSTATE that it is the answer to what was asked: there is no such role or table, or it is not for us.
func MissingOrDenied(state string) bool {
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
