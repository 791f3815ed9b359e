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

// ErrRole means that the database user lacks the roles that the process needs.
var ErrRole = errors.New("the database user lacks a role")

// access is what a database user may do.
type access struct {
	api, loader bool // may become the role
	owner       bool // has the rights of the tables' owner
	staged      bool // the loader's COPY is refused by row level security
}

// findAccess finds out which roles a URL's user may act as. The tables must exist.
func (db *DB) findAccess(ctx context.Context, config *pgx.ConnConfig) (a access, err error) {
	conn, err := db.hosts.connect(ctx, config)
	if err != nil {
		return a, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, `
		SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'predictions'::regclass`).Scan(&a.owner)
	if err == nil {
		a.api, _, err = tryRole(ctx, conn, apiRole)
	}
	if err == nil {
		a.loader, a.staged, err = tryRole(ctx, conn, loaderRole)
	}
	return a, err
}

// tryRole reports whether the user may act as a role, and whether row level security applies to it.
func tryRole(ctx context.Context, conn *pgx.Conn, role string) (may, bound bool, err error) {
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

// MissingOrDenied reports whether a SQLSTATE means that a role or table does not exist or that the user lacks the right.
func MissingOrDenied(state string) bool {
	return strings.HasPrefix(state, "42") || strings.HasPrefix(state, "22")
}

// setRole makes every connection of a pool act as a role.
func setRole(pc *pgxpool.Config, role string) {
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SET ROLE "+role)
		return err
	}
}

// MayWork reports whether workers and operators can use this store; requests always can.
func (db *DB) MayWork() bool { return db.mayWork }
