package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// inTx runs do in a transaction that commits if it returns nil.
func (db *DB) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.pool, do)
}

// conflict translates a broken unique constraint.
func conflict(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return fmt.Errorf("%w: %s exists", ErrConflict, pg.ConstraintName)
	}
	return err
}

// one is the fence's answer: a statement that must touch exactly one row touched none.
func one(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return ErrLeaseLost
	}
	return err
}
