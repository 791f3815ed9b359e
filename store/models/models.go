// Package models is the table of the models that have accepted a prediction or were pushed: which of them are kept in the
// object store, where, and for how long; and what uploads may call them ([Catalog]). A model is known by the sha256 of its bundle's manifest, which covers every file of it.
//
// A process that has a bundle calls [Table.Note], puts its archive if it is not kept, and records it ([Table.Keep]). The
// transaction that makes a prediction name it locks the row ([Pin]); a sweep ([Table.Sweep]) gives up only what nothing
// names, under a lock that a pin waits for. The object itself is left to the sweep of orphans, and its key is never used
// again: a process that stores the model at the same moment has another.
package models

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/internal/database"
	"github.com/retainwise/millrace/store/objects"
)

// Errors that callers branch on.
var (
	// ErrNotKept means that a model is not in the object store, or no longer: store it and try again.
	ErrNotKept = errors.New("the model is not kept")
	// ErrWithdrawn means that an operator has withdrawn the model.
	ErrWithdrawn = errors.New("the model has been withdrawn")
)

// Table is the view for processes that have models or need them. It is safe for concurrent use.
type Table struct{ db *database.DB }

// New returns the table of a database.
func New(db *database.DB) *Table { return &Table{db} }

// Model is a row of the table.
type Model struct {
	SHA256, Name, Version string
	Key                   string // of the archive; empty: it is not kept
	Bytes                 int64  // of the archive
	ArchiveSHA256         [sha256.Size]byte
	Damaged               bool // the archive was found missing or changed
	Withdrawn             bool
}

// Kept reports whether the archive is in the object store, as far as is known.
func (m Model) Kept() bool { return m.Key != "" && !m.Damaged }

const columns = `sha256, name, version, coalesce(object_key, ''), coalesce(bytes, 0), object_sha256,
	damaged_at IS NOT NULL, withdrawn_at IS NOT NULL`

func scan(row pgx.CollectableRow) (m Model, err error) {
	var digest []byte
	err = row.Scan(&m.SHA256, &m.Name, &m.Version, &m.Key, &m.Bytes, &digest, &m.Damaged, &m.Withdrawn)
	copy(m.ArchiveSHA256[:], digest)
	return m, err
}

// Note records that a process has a model, and returns its row.
func (t *Table) Note(ctx context.Context, digest, name, version string) (Model, error) {
	m, err := t.one(ctx, `
		INSERT INTO models (sha256, name, version) VALUES ($1, $2, $3)
		ON CONFLICT (sha256) DO UPDATE SET unnamed_since = NULL
		RETURNING `+columns, digest, name, version)
	if err != nil {
		return m, fmt.Errorf("note model: %w", err)
	}
	return m, nil
}

// Find returns the row of a model, or [objects.ErrNotFound].
func (t *Table) Find(ctx context.Context, digest string) (Model, error) {
	m, err := t.one(ctx, `SELECT `+columns+` FROM models WHERE sha256 = $1`, digest)
	if errors.Is(err, pgx.ErrNoRows) {
		err = objects.ErrNotFound
	}
	if err != nil {
		return m, fmt.Errorf("find model: %w", err)
	}
	return m, nil
}

func (t *Table) one(ctx context.Context, sql string, args ...any) (Model, error) {
	rows, err := t.db.Requests.Query(ctx, sql, args...)
	if err != nil {
		return Model{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scan)
}

// Keep records the archive that a process has put for m. Another process may have been faster: then its archive is the
// recorded one, and the caller's is an orphan.
func (t *Table) Keep(ctx context.Context, m Model, archive objects.Info) error {
	_, err := t.db.Requests.Exec(ctx, `
		UPDATE models SET object_key = $2, bytes = $3, object_sha256 = $4, damaged_at = NULL, unnamed_since = NULL
		WHERE sha256 = $1 AND object_key IS NOT DISTINCT FROM nullif($5, '')`,
		m.SHA256, archive.Key, archive.Bytes, archive.SHA256[:], m.Key)
	if err != nil {
		return fmt.Errorf("keep model: %w", err)
	}
	return nil
}

// MarkDamaged records that the archive of m is missing or not the model.
func (t *Table) MarkDamaged(ctx context.Context, m Model) error {
	_, err := t.db.Requests.Exec(ctx, `
		UPDATE models SET damaged_at = clock_timestamp()
		WHERE sha256 = $1 AND object_key = $2 AND damaged_at IS NULL`, m.SHA256, m.Key)
	if err != nil {
		return fmt.Errorf("mark model as damaged: %w", err)
	}
	return nil
}

// Pin locks the row of a model until tx ends, in which a prediction is made to name it. It is [ErrNotKept] or
// [ErrWithdrawn] if it may not be named. A model without a row, which a process of an earlier version may have chosen, is
// no error: [Table.Wanted] finds it.
func Pin(ctx context.Context, tx pgx.Tx, digest string) error {
	_, err := pin(ctx, tx, digest)
	return err
}

// PinNew is [Pin] for a prediction that is new: a retired model is [ErrRetired].
func PinNew(ctx context.Context, tx pgx.Tx, digest string) error {
	retired, err := pin(ctx, tx, digest)
	if retired {
		return ErrRetired
	}
	return err
}

func pin(ctx context.Context, tx pgx.Tx, digest string) (retired bool, err error) {
	if digest == "" { // not chosen yet
		return false, nil
	}
	var kept, withdrawn bool
	err = tx.QueryRow(ctx, `
		SELECT object_key IS NOT NULL AND damaged_at IS NULL, withdrawn_at IS NOT NULL,
		       withdrawn_at IS NULL AND retired_at IS NOT NULL
		FROM models WHERE sha256 = $1 FOR SHARE`, digest).Scan(&kept, &withdrawn, &retired)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = nil
	case err != nil:
	case withdrawn:
		err = ErrWithdrawn
	case !kept:
		err = ErrNotKept
	}
	return retired, err
}

// named is whether anything names the model m: a prediction that has a result or may have one, a report of outcomes,
// which is made anew with the names of the model's bands, or an operator, who has pushed it and not retired it.
const named = `(EXISTS (SELECT FROM predictions d WHERE d.model_sha256 = m.sha256 AND d.results_deleted_at IS NULL)
	OR EXISTS (SELECT FROM outcome_reports r WHERE r.model_sha256 = m.sha256)
	OR EXISTS (SELECT FROM models p WHERE p.sha256 = m.sha256 AND p.pushed_at IS NOT NULL AND p.retired_at IS NULL))`

// Wanted returns those of the models that something names although they are not kept. A login that may only answer
// requests, which cannot see what names a model, gets none.
func (t *Table) Wanted(ctx context.Context, digests []string) ([]string, error) {
	if !t.db.MayWork() {
		return nil, nil
	}
	rows, err := t.db.Pool.Query(ctx, `
		SELECT m.sha256 FROM unnest($1::text[]) AS m (sha256) LEFT JOIN models k ON k.sha256 = m.sha256
		WHERE (k.object_key IS NULL OR k.damaged_at IS NOT NULL) AND k.withdrawn_at IS NULL AND `+named, digests)
	if err != nil {
		return nil, fmt.Errorf("find wanted models: %w", err)
	}
	wanted, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("find wanted models: %w", err)
	}
	return wanted, nil
}

// Sweep gives up the archives of models that nothing has named for at least grace, and returns how many. Several
// processes may call it at the same time.
func (t *Table) Sweep(ctx context.Context, grace time.Duration) (released int, err error) {
	_, err = t.db.Pool.Exec(ctx, `
		WITH changed AS (
		    SELECT sha256 FROM models m WHERE object_key IS NOT NULL AND `+named+` = (unnamed_since IS NOT NULL)
		    FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE models m SET unnamed_since = CASE WHEN unnamed_since IS NULL THEN clock_timestamp() END
		FROM changed c WHERE m.sha256 = c.sha256`)
	if err != nil {
		return 0, fmt.Errorf("sweep models: %w", err)
	}
	rows, err := t.db.Pool.Query(ctx, `
		SELECT sha256 FROM models
		WHERE object_key IS NOT NULL AND unnamed_since <= clock_timestamp() - $1::bigint * interval '1 microsecond'`,
		grace.Microseconds())
	if err != nil {
		return 0, fmt.Errorf("sweep models: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, digest := range list {
		var gone bool
		if gone, err = t.release(ctx, digest, grace); err != nil {
			break
		}
		if gone {
			released++
		}
	}
	if err != nil {
		return released, fmt.Errorf("sweep models: %w", err)
	}
	return released, nil
}

// release gives up one archive. The lock comes first, in a statement of its own: what was pinned before it was had is
// seen by the second one, and what is pinned later finds the model given up.
func (t *Table) release(ctx context.Context, digest string, grace time.Duration) (gone bool, err error) {
	err = t.db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM models WHERE sha256 = $1 FOR UPDATE`, digest); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE models m SET object_key = NULL, bytes = NULL, object_sha256 = NULL, damaged_at = NULL, unnamed_since = NULL
			WHERE sha256 = $1 AND unnamed_since <= clock_timestamp() - $2::bigint * interval '1 microsecond'
			  AND NOT `+named, digest, grace.Microseconds())
		gone = tag.RowsAffected() > 0
		return err
	})
	return gone, err
}

// List lists the models that have an archive.
func (t *Table) List(ctx context.Context) ([]Model, error) {
	rows, err := t.db.Pool.Query(ctx, `SELECT `+columns+` FROM models WHERE object_key IS NOT NULL ORDER BY object_key`)
	if err != nil {
		return nil, fmt.Errorf("list kept models: %w", err)
	}
	list, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("list kept models: %w", err)
	}
	return list, nil
}
