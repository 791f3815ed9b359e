package database

import (
	"context"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// InTx runs do in a transaction that commits if it returns nil.
func (db *DB) InTx(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db.Pool, do)
}

// copyHeader and copyTrailer frame the tuples of a binary COPY: signature, flags, no extension; -1 fields.
const (
	copyHeader  = "PGCOPY\n\377\r\n\000\x00\x00\x00\x00\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

// CopyTuples copies encoded tuples into a table as they are, without boxing or encoding them again. Where row level
// security refuses COPY they go through a temporary table, which each connection creates once.
func (db *DB) CopyTuples(ctx context.Context, tx pgx.Tx, table, columns string, tuples io.Reader) error {
	into := table
	if db.staged {
		into = "pg_temp.load_" + table
		if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE IF NOT EXISTS load_`+table+` ON COMMIT DELETE ROWS AS
			SELECT `+columns+` FROM `+table+` WHERE false`); err != nil {
			return err
		}
	}
	stream := io.MultiReader(strings.NewReader(copyHeader), tuples, strings.NewReader(copyTrailer))
	_, err := tx.Conn().PgConn().CopyFrom(ctx, stream, `COPY `+into+` (`+columns+`) FROM STDIN (FORMAT binary)`)
	if err == nil && db.staged {
		_, err = tx.Exec(ctx, `INSERT INTO `+table+` (`+columns+`) SELECT `+columns+` FROM `+into)
	}
	return err
}
