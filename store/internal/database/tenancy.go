package database

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Requests run under row level security: as the role millrace_api, for one user, for one transaction. The role and the
// user are set by the first statement of a pipeline whose other statements are in the same transaction, so that it
// costs no round trip. What looks across users in a request is a function of the database that answers one fact. Where
// the role cannot be had, the queries alone keep users apart: each names its user.

const enterUser = `SELECT set_config('role', 'millrace_api', true), set_config('app.user_id', $1, true)`

// RowSecurity reports whether the database itself keeps users apart, beside the queries that name them.
func (db *DB) RowSecurity() bool { return db.rowSecurity }

// ReadAs runs one statement for a user and hands its rows to read, which closes them.
func (db *DB) ReadAs(ctx context.Context, user int64, sql string, args []any, read func(pgx.Rows) error) error {
	if !db.rowSecurity {
		rows, err := db.Requests.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		return read(rows)
	}
	var batch pgx.Batch
	batch.Queue(enterUser, strconv.FormatInt(user, 10))
	batch.Queue(sql, args...)
	results := db.Requests.SendBatch(ctx, &batch)
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

// InTxAs runs do in a transaction for a user, whose role comes with BEGIN, in one message.
func (db *DB) InTxAs(ctx context.Context, user int64, do func(pgx.Tx) error) error {
	var options pgx.TxOptions
	if db.rowSecurity {
		options.BeginQuery = "begin; " + strings.Replace(enterUser, "$1", "'"+strconv.FormatInt(user, 10)+"'", 1)
	}
	return pgx.BeginTxFunc(ctx, db.Requests, options, do)
}
