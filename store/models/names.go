package models

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/objects"
)

// Errors of changes to the catalog.
var (
	// ErrRetired means that no new prediction may be made with the model.
	ErrRetired = errors.New("the model is retired")
	// ErrNothingBefore means that an alias cannot be rolled back: it named nothing before.
	ErrNothingBefore = errors.New("the alias named nothing before")
)

// VersionTakenError means that another model was pushed with the same name and version.
type VersionTakenError struct{ SHA256 string }

// Error implements error.
func (e *VersionTakenError) Error() string {
	return "the version is another model, with sha256 " + e.SHA256
}

// NamedError means that a version or an alias cannot be taken away because of what names it.
type NamedError struct {
	Aliases  []string
	Defaults int
}

// Error implements error.
func (e *NamedError) Error() string {
	text := fmt.Sprintf("%d defaults name it", e.Defaults)
	if len(e.Aliases) > 0 {
		text = "aliases name it: " + strings.Join(e.Aliases, ", ")
	}
	return text
}

// change runs do in a transaction, one at a time of all processes, so that nothing is taken away while it is named.
func (t *Table) change(ctx context.Context, what string, do func(pgx.Tx) error) error {
	err := t.db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('model names', 0))`); err != nil {
			return err
		}
		return do(tx)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Published is what a push has changed.
type Published struct {
	Existed bool   // it had been pushed before, and nothing was changed
	Retired bool   // it was retired since, and is so still
	Alias   string // set by this push, the first of a model with the name; empty: none
}

// Publish makes the model with a digest, which must be kept, a version that uploads may name. If it is the first model
// with its name, and plain is set, the name alone becomes an alias for it; later versions do not move that. The error
// is [ErrNotKept], [ErrWithdrawn] or a [VersionTakenError].
func (t *Table) Publish(ctx context.Context, digest string, plain bool) (p Published, err error) {
	err = t.change(ctx, "publish model", func(tx pgx.Tx) error {
		p = Published{}
		if err := Pin(ctx, tx, digest); err != nil {
			return err
		}
		var name, other string
		err := tx.QueryRow(ctx, `
			SELECT m.name, m.pushed_at IS NOT NULL, m.retired_at IS NOT NULL, coalesce(o.sha256, '')
			FROM models m LEFT JOIN models o
			     ON o.name = m.name AND o.version = m.version AND o.pushed_at IS NOT NULL AND o.sha256 <> m.sha256
			WHERE m.sha256 = $1`, digest).Scan(&name, &p.Existed, &p.Retired, &other)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return ErrNotKept
		case err != nil || p.Existed:
			return err
		case other != "":
			return &VersionTakenError{other}
		}
		if _, err := tx.Exec(ctx, `UPDATE models SET pushed_at = clock_timestamp() WHERE sha256 = $1`, digest); err != nil {
			return err
		}
		if !plain {
			return nil
		}
		tag, err := tx.Exec(ctx, `
			INSERT INTO model_aliases (alias, sha256, by_push)
			SELECT $1, $2, true WHERE NOT EXISTS (SELECT FROM model_aliases WHERE alias = $1)`, name, digest)
		if err == nil && tag.RowsAffected() > 0 {
			p.Alias = name
		}
		return err
	})
	return p, err
}

// pinVersion locks a pushed version that may be named: not withdrawn, not retired.
func pinVersion(ctx context.Context, tx pgx.Tx, digest string) error {
	if err := PinNew(ctx, tx, digest); err != nil {
		return err
	}
	var pushed bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM models WHERE sha256 = $1 AND pushed_at IS NOT NULL)`, digest).Scan(&pushed)
	if err == nil && !pushed {
		err = objects.ErrNotFound
	}
	return err
}

// SetAlias makes an alias name a pushed version. changed is false if it does already; before is the digest that it named
// until then, empty for none. The error is [objects.ErrNotFound], [ErrNotKept], [ErrWithdrawn] or [ErrRetired].
func (t *Table) SetAlias(ctx context.Context, alias, digest string) (before string, changed bool, err error) {
	err = t.change(ctx, "set alias", func(tx pgx.Tx) error {
		if err := pinVersion(ctx, tx, digest); err != nil {
			return err
		}
		stack, err := aliasStack(ctx, tx, alias)
		if err != nil {
			return err
		}
		if len(stack) > 0 {
			if before = stack[0].digest; before == digest && !stack[0].byPush {
				changed = false
				return nil
			}
		}
		changed = true
		_, err = tx.Exec(ctx, `INSERT INTO model_aliases (alias, sha256) VALUES ($1, $2)`, alias, digest)
		return err
	})
	return before, changed, err
}

// RemoveAlias removes an alias, and returns the digest that it named. One that a default names is a [NamedError], an
// unknown one [objects.ErrNotFound].
func (t *Table) RemoveAlias(ctx context.Context, alias string) (before string, err error) {
	err = t.change(ctx, "remove alias", func(tx pgx.Tx) error {
		stack, err := aliasStack(ctx, tx, alias)
		if err != nil {
			return err
		}
		if len(stack) == 0 || stack[0].digest == "" {
			return objects.ErrNotFound
		}
		before = stack[0].digest
		var defaults int
		err = tx.QueryRow(ctx, `SELECT count(*) FROM model_defaults WHERE alias = $1`, alias).Scan(&defaults)
		if err == nil && defaults > 0 {
			err = &NamedError{Defaults: defaults}
		}
		if err == nil {
			_, err = tx.Exec(ctx, `INSERT INTO model_aliases (alias) VALUES ($1)`, alias)
		}
		return err
	})
	return before, err
}

// Rollback takes an alias back to the version that it named before, and another one to what came before that. It returns
// the digests. The error is [objects.ErrNotFound], [ErrNothingBefore], or that of a version that may not be named any more:
// [ErrNotKept], [ErrWithdrawn], [ErrRetired].
func (t *Table) Rollback(ctx context.Context, alias string) (from, to string, err error) {
	err = t.change(ctx, "roll back alias", func(tx pgx.Tx) error {
		stack, err := aliasStack(ctx, tx, alias)
		switch {
		case err != nil:
			return err
		case len(stack) == 0:
			return objects.ErrNotFound
		case len(stack) == 1 || stack[1].digest == "":
			return ErrNothingBefore
		}
		from, to = stack[0].digest, stack[1].digest
		if err := pinVersion(ctx, tx, to); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE model_aliases SET undone_at = clock_timestamp() WHERE id = $1`, stack[0].id)
		return err
	})
	return from, to, err
}

type aliasRow struct {
	id     int64
	digest string // empty: the alias was removed
	byPush bool
}

// aliasStack returns the last two rows of an alias that were not undone, the current one first.
func aliasStack(ctx context.Context, tx pgx.Tx, alias string) ([]aliasRow, error) {
	rows, err := tx.Query(ctx, `
		SELECT id, coalesce(sha256, ''), by_push FROM model_aliases
		WHERE alias = $1 AND undone_at IS NULL ORDER BY id DESC LIMIT 2`, alias)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (a aliasRow, err error) {
		return a, row.Scan(&a.id, &a.digest, &a.byPush)
	})
}

// User returns the id of the user with a subject, or [objects.ErrNotFound].
func (t *Table) User(ctx context.Context, subject string) (id int64, err error) {
	err = t.db.Pool.QueryRow(ctx, `SELECT id FROM users WHERE subject = $1`, subject).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = objects.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("find user: %w", err)
	}
	return id, nil
}

// Subjects returns the subjects of the users that defaults are for, by id.
func (t *Table) Subjects(ctx context.Context) (map[int64]string, error) {
	rows, err := t.db.Pool.Query(ctx, `SELECT id, subject FROM users WHERE id IN (SELECT user_id FROM model_defaults)`)
	if err != nil {
		return nil, fmt.Errorf("list users of defaults: %w", err)
	}
	subjects, id, subject := map[int64]string{}, int64(0), ""
	if _, err := pgx.ForEachRow(rows, []any{&id, &subject}, func() error { subjects[id] = subject; return nil }); err != nil {
		return nil, fmt.Errorf("list users of defaults: %w", err)
	}
	return subjects, nil
}

// SetDefault sets what uploads of d's user and dataset get that name no model. The error is that of [Table.SetAlias]; an
// alias that names nothing is [objects.ErrNotFound].
func (t *Table) SetDefault(ctx context.Context, d Default) error {
	return t.change(ctx, "set default model", func(tx pgx.Tx) error {
		digest := d.SHA256
		if d.Alias != "" {
			stack, err := aliasStack(ctx, tx, d.Alias)
			if err != nil {
				return err
			}
			if len(stack) == 0 || stack[0].digest == "" {
				return objects.ErrNotFound
			}
			digest = stack[0].digest
		}
		if err := pinVersion(ctx, tx, digest); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO model_defaults (user_id, dataset, alias, sha256)
			VALUES (nullif($1::bigint, 0), $2, nullif($3, ''), nullif($4, ''))
			ON CONFLICT (coalesce(user_id, 0), dataset)
			DO UPDATE SET alias = excluded.alias, sha256 = excluded.sha256, set_at = excluded.set_at`,
			d.UserID, d.Dataset, d.Alias, d.SHA256)
		return err
	})
}

// RemoveDefault removes the default of a user (0: of every user) and a dataset, or returns [objects.ErrNotFound].
func (t *Table) RemoveDefault(ctx context.Context, user int64, dataset string) error {
	return t.change(ctx, "remove default model", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM model_defaults WHERE coalesce(user_id, 0) = $1 AND dataset = $2`, user, dataset)
		if err == nil && tag.RowsAffected() == 0 {
			err = objects.ErrNotFound
		}
		return err
	})
}

// Retire stops new predictions with a pushed version; those that are there end. changed is false if it was retired before.
// A version that an alias or a default names is a [NamedError], one that was not pushed [objects.ErrNotFound].
func (t *Table) Retire(ctx context.Context, digest string) (changed bool, err error) {
	err = t.change(ctx, "retire model", func(tx pgx.Tx) error {
		named := new(NamedError)
		err := tx.QueryRow(ctx, `
			SELECT coalesce((SELECT array_agg(alias) FROM (`+currentAliases+`) a WHERE a.sha256 = $1), '{}'),
			       (SELECT count(*) FROM model_defaults WHERE sha256 = $1)`, digest).Scan(&named.Aliases, &named.Defaults)
		if err != nil {
			return err
		}
		if len(named.Aliases)+named.Defaults > 0 {
			return named
		}
		err = tx.QueryRow(ctx, `
			UPDATE models m SET retired_at = coalesce(m.retired_at, clock_timestamp())
			FROM (SELECT sha256, retired_at FROM models WHERE sha256 = $1 FOR NO KEY UPDATE) AS old
			WHERE m.sha256 = old.sha256 AND m.pushed_at IS NOT NULL RETURNING old.retired_at IS NULL`, digest).Scan(&changed)
		if errors.Is(err, pgx.ErrNoRows) {
			err = objects.ErrNotFound
		}
		return err
	})
	return changed, err
}

// Restore takes a retirement back. A version that is not kept any more is [ErrNotKept]: push it again first. changed is
// false if it was not retired.
func (t *Table) Restore(ctx context.Context, digest string) (changed bool, err error) {
	err = t.change(ctx, "restore model", func(tx pgx.Tx) error {
		if err := Pin(ctx, tx, digest); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE models SET retired_at = NULL WHERE sha256 = $1 AND pushed_at IS NOT NULL AND retired_at IS NOT NULL`, digest)
		changed = tag.RowsAffected() > 0
		return err
	})
	return changed, err
}

// usesMax is where [Table.Uses] stops counting.
const usesMax = 10_000

// Uses counts, for each pushed model, the predictions with it that have a result or may have one, up to [usesMax].
func (t *Table) Uses(ctx context.Context) (map[string]int, error) {
	rows, err := t.db.Pool.Query(ctx, `
		SELECT sha256, (SELECT count(*) FROM (SELECT FROM predictions d
		    WHERE d.model_sha256 = m.sha256 AND d.results_deleted_at IS NULL LIMIT $1) AS counted)::int
		FROM models m WHERE pushed_at IS NOT NULL`, usesMax)
	if err != nil {
		return nil, fmt.Errorf("count uses of models: %w", err)
	}
	uses, digest, n := map[string]int{}, "", 0
	if _, err := pgx.ForEachRow(rows, []any{&digest, &n}, func() error { uses[digest] = n; return nil }); err != nil {
		return nil, fmt.Errorf("count uses of models: %w", err)
	}
	return uses, nil
}
