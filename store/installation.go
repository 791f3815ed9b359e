package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/objects"
)

// Mark returns the database's mark, or [ErrNotFound] if it has none: no worker has started with database and store yet.
func (u *Upkeep) Mark(ctx context.Context) (m objects.Mark, err error) {
	err = u.db.Requests.QueryRow(ctx, selectMark).Scan(&m.Installation, &m.Sweeps, &m.Sweep)
	if err != nil {
		return objects.Mark{}, fmt.Errorf("read the database's mark: %w", notFound(err))
	}
	return m, nil
}

const selectMark = `SELECT id, sweeps, sweep FROM installation `

// makeMark returns the database's mark, and creates one if there is none.
func (u *Upkeep) makeMark(ctx context.Context) (objects.Mark, error) {
	_, err := u.db.Pool.Exec(ctx, `INSERT INTO installation (id, sweep) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
		uuid.New(), uuid.New())
	if err != nil {
		return objects.Mark{}, fmt.Errorf("make the database's mark: %w", err)
	}
	return u.Mark(ctx)
}

// raiseMark counts a sweep, unless the database is one ahead of the store already: a process ended between the two
// writes. A store whose mark does not agree is [ErrNotOwner], and nothing changes.
func (u *Upkeep) raiseMark(ctx context.Context, of objects.Mark) (raised objects.Mark, err error) {
	err = u.db.InTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, selectMark+`FOR UPDATE`).Scan(&raised.Installation, &raised.Sweeps, &raised.Sweep)
		if err != nil {
			return notFound(err)
		}
		if agree(raised, of) != Owned {
			return ErrNotOwner
		}
		if raised.Sweeps > of.Sweeps {
			return nil
		}
		return tx.QueryRow(ctx, `UPDATE installation SET sweeps = sweeps + 1, sweep = $1 RETURNING sweeps, sweep`,
			uuid.New()).Scan(&raised.Sweeps, &raised.Sweep)
	})
	if err != nil {
		return objects.Mark{}, fmt.Errorf("count a sweep: %w", err)
	}
	return raised, nil
}

// adoptMark gives the database a new mark that no copy of it has, ahead of what the store counted. Recorded
// orphans are dropped: they may be another store's.
func (u *Upkeep) adoptMark(ctx context.Context, counted int64) (m objects.Mark, err error) {
	err = u.db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM orphans`); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			INSERT INTO installation AS i (id, sweeps, sweep) VALUES ($1, $3 + 1, $2)
			ON CONFLICT (single) DO UPDATE SET id = $1, sweep = $2, sweeps = greatest(i.sweeps, $3) + 1,
			    stopped_at = NULL, stopped_reason = NULL
			RETURNING id, sweeps, sweep`, uuid.New(), uuid.New(), counted).Scan(&m.Installation, &m.Sweeps, &m.Sweep)
	})
	if err != nil {
		return objects.Mark{}, fmt.Errorf("adopt: %w", err)
	}
	return m, nil
}

// recordedAtOnce is how many of the newest recorded objects must be in a store that was never marked.
const recordedAtOnce = 5

// newestObjects returns the uploads that were recorded last and not removed since. Dropped files do not count, as other
// programs may remove them.
func (u *Upkeep) newestObjects(ctx context.Context) ([]objects.Info, error) {
	rows, err := u.db.Pool.Query(ctx, `
		SELECT u.object_key, coalesce(u.bytes, -1) FROM uploads u
		WHERE u.object_key LIKE 'uploads/%'
		  AND EXISTS (SELECT FROM predictions d WHERE d.upload_id = u.id AND d.results_deleted_at IS NULL)
		ORDER BY u.created_at DESC LIMIT $1`, recordedAtOnce)
	if err != nil {
		return nil, fmt.Errorf("find newest objects: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o objects.Info, err error) {
		err = row.Scan(&o.Key, &o.Bytes)
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("find newest objects: %w", err)
	}
	return list, nil
}

// StoppedSweep is since when and why sweeps are stopped until an operator confirms them.
type StoppedSweep struct {
	At     time.Time
	Reason string
}

// Housekeeping is the state of deletions and sweeps.
type Housekeeping struct {
	Deletions int           // asked for by customers or due by age, whose files are still to be removed
	Orphans   int           // objects of unknown owners that the last sweep has found
	Stopped   *StoppedSweep // nil: sweeps are not stopped
}

// Housekeeping counts pending deletions and orphans.
func (u *Upkeep) Housekeeping(ctx context.Context) (h Housekeeping, err error) {
	var at *time.Time
	var reason string
	err = u.db.Pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM deletions WHERE passes = 0), (SELECT count(*) FROM orphans WHERE unknown),
		       (SELECT stopped_at FROM installation), coalesce((SELECT stopped_reason FROM installation), '')`).
		Scan(&h.Deletions, &h.Orphans, &at, &reason)
	if err != nil {
		return h, fmt.Errorf("count what is to be deleted: %w", err)
	}
	if at != nil {
		h.Stopped = &StoppedSweep{*at, reason}
	}
	return h, nil
}
