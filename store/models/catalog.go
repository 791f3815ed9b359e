package models

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Catalog is what uploads may name: the pushed models, their aliases, and what an upload without a model gets. It is a
// snapshot and must not be modified.
type Catalog struct {
	Versions []Version // in the order in which they were pushed
	Aliases  []Alias   // by name
	Defaults []Default
}

// Version is a model that an operator has pushed.
type Version struct {
	Model
	PushedAt time.Time
	Retired  bool // no new prediction is made with it
}

// Active reports whether new predictions can be made with the version.
func (v Version) Active() bool { return !v.Retired && !v.Withdrawn }

// Ref is how an upload names the version: "churn@2".
func (v Version) Ref() string { return v.Name + "@" + v.Version }

// Alias is a name for a version.
type Alias struct {
	Alias, SHA256 string
	ByPush        bool // the first push of a model has set it, no operator
	Since         time.Time
	Before        string // sha256 of what a rollback takes it back to; empty: nothing
}

// Default is what uploads without a model get.
type Default struct {
	UserID  int64  // 0: every user's
	Dataset string // empty: of every dataset, and of none
	// One of both: a default with an alias moves with it.
	Alias, SHA256 string
	Since         time.Time
}

// Catalog reads the catalog. Versions come last: an alias never names one that is not there.
func (t *Table) Catalog(ctx context.Context) (*Catalog, error) {
	c := new(Catalog)
	var err error
	if c.Aliases, err = collect[Alias](ctx, t, currentAliases); err == nil {
		c.Defaults, err = collect[Default](ctx, t, `
			SELECT coalesce(user_id, 0), dataset, coalesce(alias, ''), coalesce(sha256, ''), set_at FROM model_defaults
			ORDER BY 1, 2`)
	}
	if err != nil {
		return nil, fmt.Errorf("read model catalog: %w", err)
	}
	rows, err := t.db.Requests.Query(ctx, `SELECT `+columns+`, pushed_at, retired_at IS NOT NULL
		FROM models WHERE pushed_at IS NOT NULL ORDER BY pushed_at, sha256`)
	if err == nil {
		c.Versions, err = pgx.CollectRows(rows, scanVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("read model catalog: %w", err)
	}
	return c, nil
}

const currentAliases = `
	SELECT alias, sha256, by_push, set_at, coalesce(before, '') FROM (
	    SELECT alias, sha256, by_push, set_at, lead(sha256) OVER w AS before, row_number() OVER w AS n
	    FROM model_aliases WHERE undone_at IS NULL WINDOW w AS (PARTITION BY alias ORDER BY id DESC)) AS a
	WHERE n = 1 AND sha256 IS NOT NULL ORDER BY alias`

func collect[T any](ctx context.Context, t *Table, sql string) ([]T, error) {
	rows, err := t.db.Requests.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}

func scanVersion(row pgx.CollectableRow) (v Version, err error) {
	var digest []byte
	err = row.Scan(&v.SHA256, &v.Name, &v.Version, &v.Key, &v.Bytes, &digest, &v.Damaged, &v.Withdrawn, &v.PushedAt, &v.Retired)
	copy(v.ArchiveSHA256[:], digest)
	return v, err
}

// Find returns the version with a digest; ok is false if none was pushed.
func (c *Catalog) Find(digest string) (v Version, ok bool) {
	return find(c.Versions, func(v Version) bool { return v.SHA256 == digest })
}

// FindVersion returns a version of a name; ok is false if none was pushed.
func (c *Catalog) FindVersion(name, version string) (v Version, ok bool) {
	return find(c.Versions, func(v Version) bool { return v.Name == name && v.Model.Version == version })
}

// FindAlias returns an alias; ok is false if there is none.
func (c *Catalog) FindAlias(alias string) (a Alias, ok bool) {
	return find(c.Aliases, func(a Alias) bool { return a.Alias == alias })
}

func find[T any](list []T, is func(T) bool) (found T, ok bool) {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true
	}
	return found, false
}

// AliasesOf lists the aliases that name a version.
func (c *Catalog) AliasesOf(digest string) (aliases []string) {
	for _, a := range c.Aliases {
		if a.SHA256 == digest {
			aliases = append(aliases, a.Alias)
		}
	}
	return aliases
}

// DefaultOf returns the default of a user's upload into a dataset: of both, else of the user, else of the dataset, else of
// all. ok is false if there is none.
func (c *Catalog) DefaultOf(user int64, dataset string) (best Default, ok bool) {
	weight := func(d Default) (n int) {
		if d.UserID != 0 {
			n = 2
		}
		if d.Dataset != "" {
			n++
		}
		return n
	}
	for _, d := range c.Defaults {
		if (d.UserID == 0 || d.UserID == user) && (d.Dataset == "" || d.Dataset == dataset) &&
			(!ok || weight(d) > weight(best)) {
			best, ok = d, true
		}
	}
	return best, ok
}
