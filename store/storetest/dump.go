package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// RestoredDump returns the URL of a database that was restored from a dump of another one, made while that one works: all
// tables as one snapshot saw them, and sequences no lower.
func RestoredDump(t testing.TB, of string) string {
	t.Helper()
	to := Postgres(t)
	ctx, cancel := context.WithTimeout(background(), time.Minute)
	defer cancel()
	if err := copyDatabase(ctx, of, to); err != nil {
		t.Fatalf("copy database: %v", err)
	}
	return to
}

func copyDatabase(ctx context.Context, of, to string) error {
	source, err := pgx.Connect(ctx, of)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close(ctx) }()
	target, err := pgx.Connect(ctx, to)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close(ctx) }()
	// As a restore does: no trigger, no foreign key, before all rows are there.
	if _, err := target.Exec(ctx, `SET session_replication_role = replica`); err != nil {
		return err
	}
	return pgx.BeginTxFunc(ctx, source, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if err := copyTables(ctx, tx, target); err != nil {
			return err
		}
		return copySequences(ctx, tx, target)
	})
}

// copyTables copies what is no partition: those are copied with their parent.
func copyTables(ctx context.Context, source pgx.Tx, target *pgx.Conn) error {
	tables, err := namesOf(ctx, source, `
		SELECT quote_ident(relname) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`)
	if err != nil {
		return err
	}
	for _, table := range tables {
		var rows bytes.Buffer
		_, err := source.Conn().PgConn().CopyTo(ctx, &rows, "COPY (SELECT * FROM "+table+") TO STDOUT BINARY")
		if err == nil {
			_, err = target.Exec(ctx, "DELETE FROM "+table)
		}
		if err == nil {
			_, err = target.PgConn().CopyFrom(ctx, &rows, "COPY "+table+" FROM STDIN BINARY")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	return nil
}

func copySequences(ctx context.Context, source pgx.Tx, target *pgx.Conn) error {
	sequences, err := namesOf(ctx, source, `
		SELECT quote_ident(sequencename) FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL`)
	if err != nil {
		return err
	}
	for _, sequence := range sequences {
		var last int64
		if err := source.QueryRow(ctx, "SELECT last_value FROM "+sequence).Scan(&last); err != nil {
			return err
		}
		if _, err := target.Exec(ctx, "SELECT setval($1::regclass, $2)", sequence, last); err != nil {
			return err
		}
	}
	return nil
}

func namesOf(ctx context.Context, tx pgx.Tx, sql string) ([]string, error) {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
