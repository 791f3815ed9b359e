package store

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Requests run under row level security: as the role millrace_api, for one user, for one transaction. The role and the
// user are set by the first statement of a pipeline whose other statements are in the same transaction, so that it
// costs no round trip. Where the role cannot be had, the queries alone keep users apart: each names its user.

const enterUser = `SELECT set_config('role', 'millrace_api', true), set_config('app.user_id', $1, true)`

// RowSecurity says whether the database itself keeps users apart, beside the queries that name them.
func (s *Store) RowSecurity() bool { return s.rowSecurity }

// findRowSecurity tries to become the role.
func (s *Store) findRowSecurity(ctx context.Context) error {
	s.rowSecurity = true
	err := s.readAs(ctx, 0, `SELECT FROM predictions LIMIT 1`, nil, func(rows pgx.Rows) error {
		rows.Close()
		return rows.Err()
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && !unavailableState(pg.Code) {
		s.rowSecurity = false
		s.config.Log.Warn("no row level security: this database user cannot become millrace_api; queries keep users apart")
		return nil
	}
	return err
}

// readAs runs one statement for a user and hands its rows to read, which closes them.
func (s *Store) readAs(ctx context.Context, user int64, sql string, args []any, read func(pgx.Rows) error) error {
	if !s.rowSecurity {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		return read(rows)
	}
	var batch pgx.Batch
	batch.Queue(enterUser, strconv.FormatInt(user, 10))
	batch.Queue(sql, args...)
	results := s.pool.SendBatch(ctx, &batch)
	_, err := results.Exec()
	if err == nil {
		var rows pgx.Rows
		if rows, err = results.Query(); err == nil {
			err = read(rows)
		}
	}
	if closing := results.Close(); err == nil { // else it repeats the error
		err = closing
	}
	return err
}

// inTxAs runs do in a transaction for a user.
func (s *Store) inTxAs(ctx context.Context, user int64, do func(pgx.Tx) error) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if s.rowSecurity {
			if _, err := tx.Exec(ctx, enterUser, strconv.FormatInt(user, 10)); err != nil {
				return err
			}
		}
		return do(tx)
	})
}
