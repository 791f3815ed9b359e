package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/objects"
)

// ErrSweepStopped means that a sweep found too many or too new unknown objects and deleted nothing. Sweeps stay stopped
// until an operator confirms the list ([Upkeep.Orphans], [Upkeep.ConfirmOrphans]).
var ErrSweepStopped = errors.New("the sweep is stopped until millrace store orphans --confirm")

const (
	orphansAtOnce = 500
	// A sweep that finds more objects with unknown ids than both this and this percentage of all objects is stopped.
	unknownMax     = 20
	unknownPercent = 1
	// unknownAge is the least age of an object without a row that counts as a sign of an outdated database. The row of an
	// upload follows its object within seconds.
	unknownAge = time.Hour
	// clockSkew is how far the clocks of the database and the object store may be apart.
	clockSkew = 5 * time.Minute
)

// SweepOrphans deletes objects in [objects.OwnFolders] that no row refers to and that are older than age: uploads that
// broke between object and row, results from before a retry, files that were put through a link and then neither
// completed nor copied, archives of models that nothing needs any more, and the parts of predictions that ended longer ago
// than age and whose worker crashed before it deleted them. Only the last step reads parts. A worker that still does after another has published publishes nothing:
// it joins all parts to the same bytes, or fails on the first that is missing and leaves the result.
//
// The objects to delete are listed first. An object whose id the database does not know goes one sweep after it was found
// for the first time. Too many of these, or one from after the database's newest upload, stop the sweep with
// [ErrSweepStopped] before anything is deleted. A database that does not own the store is [ErrNotOwner].
func (w *Owner) SweepOrphans(ctx context.Context, age time.Duration) (swept int, err error) {
	swept, err = w.sweepOrphans(ctx, age)
	if err != nil {
		return swept, fmt.Errorf("sweep orphans: %w", err)
	}
	return swept, nil
}

func (w *Owner) sweepOrphans(ctx context.Context, age time.Duration) (int, error) {
	h, err := w.store.Upkeep.Housekeeping(ctx)
	if err != nil {
		return 0, err
	}
	if h.Stopped != nil {
		return 0, fmt.Errorf("%w: %s", ErrSweepStopped, h.Stopped.Reason)
	}
	number, err := w.beginSweep(ctx)
	if err != nil {
		return 0, err
	}
	listed, err := w.listOrphans(ctx, number, age)
	if err != nil {
		return 0, err
	}
	reason, err := w.store.Upkeep.unusual(ctx, number, listed, age)
	if err != nil {
		return 0, err
	}
	if reason != "" {
		w.log.Error("the sweep of the object store is stopped: look at millrace store orphans", "reason", reason)
		return 0, errors.Join(w.store.Upkeep.stopSweeps(ctx, reason), fmt.Errorf("%w: %s", ErrSweepStopped, reason))
	}
	return w.deleteOrphans(ctx, number, age)
}

// listOrphans records the orphans of a sweep in the database, drops recorded ones that are no longer found, and counts
// all objects.
func (w *Owner) listOrphans(ctx context.Context, number int64, age time.Duration) (listed int, err error) {
	var batch []objects.Info
	for _, folder := range objects.OwnFolders {
		for info, err := range w.objects.List(ctx, folder) {
			if err != nil {
				return listed, err
			}
			listed++
			if batch = append(batch, info); len(batch) == orphansAtOnce {
				if err := w.store.Upkeep.noteOrphans(ctx, number, batch, age); err != nil {
					return listed, err
				}
				batch = batch[:0]
			}
		}
	}
	if err := w.store.Upkeep.noteOrphans(ctx, number, batch, age); err != nil {
		return listed, err
	}
	_, err = w.store.db.Pool.Exec(ctx, `DELETE FROM orphans WHERE last_sweep < $1`, number)
	return listed, err
}

// orphanKind is whether the database needs an object.
type orphanKind int

const (
	needed    orphanKind = iota
	notNeeded            // its id is known, but it is no longer needed
	unknownID            // no row has its id
)

// orphanKinds looks objects up in the database. A prediction owns its generation's objects, but the parts only until age
// after its end. Objects of pending deletions are needed: SweepDeletions deletes them. A model needs the archive that its
// row names.
func (u *Upkeep) orphanKinds(ctx context.Context, keys []string, age time.Duration) ([]orphanKind, error) {
	ids, generations := make([]*uuid.UUID, len(keys)), make([]int, len(keys))
	digests := make([]*string, len(keys))
	for i, key := range keys {
		ids[i], generations[i] = ownerOf(key)
		if digest, ok := objects.ModelOf(key); ok {
			digests[i] = &digest
		}
	}
	rows, err := u.db.Pool.Query(ctx, `
		SELECT CASE
		    WHEN k.model IS NOT NULL
		    THEN (SELECT CASE WHEN count(*) = 0 THEN 2 WHEN bool_or(m.object_key = k.key) THEN 0 ELSE 1 END
		          FROM models m WHERE m.sha256 = k.model)
		    WHEN k.id IS NULL
		      OR EXISTS (SELECT FROM uploads u
		          WHERE u.public_id = k.id AND (k.generation = 0 OR k.generation = -1 AND u.object_key = k.key))
		      OR EXISTS (SELECT FROM upload_links l
		          WHERE l.public_id = k.id AND k.generation = -1 AND l.prediction_id IS NULL)
		      OR EXISTS (SELECT FROM predictions d WHERE d.public_id = k.id AND d.generation = k.generation
		          AND NOT (split_part(k.key, '/', 4) = 'parts' AND d.status NOT IN ('queued', 'running')
		                   AND NOT d.finish_due
		                   AND d.finished_at < clock_timestamp() - $4::bigint * interval '1 microsecond'))
		      OR EXISTS (SELECT FROM deletions x WHERE x.upload_id = k.id OR x.prediction_id = k.id)
		    THEN 0
		    WHEN EXISTS (SELECT FROM uploads u WHERE u.public_id = k.id)
		      OR EXISTS (SELECT FROM predictions d WHERE d.public_id = k.id AND d.generation >= k.generation)
		    THEN 1
		    ELSE 2 END
		FROM unnest($1::text[], $2::uuid[], $3::int[], $5::text[]) WITH ORDINALITY AS k (key, id, generation, model, i)
		ORDER BY k.i`,
		keys, ids, generations, age.Microseconds(), digests)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[orphanKind])
}

// ownerOf returns the id of the upload (generation 0), its link (-1) or the prediction that a key was made for; nil if
// the key has another form.
func ownerOf(key string) (*uuid.UUID, int) {
	if id, ok := DirectUpload(key); ok {
		return &id, -1
	}
	segments := strings.Split(key, "/")
	if len(segments) < 3 {
		return nil, 0
	}
	id, err := uuid.Parse(segments[1])
	if err != nil {
		return nil, 0
	}
	if segments[0]+"/" == objects.UploadsPrefix {
		return &id, 0
	}
	generation, err := strconv.Atoi(segments[2])
	if err != nil || generation < 1 {
		return nil, 0
	}
	return &id, generation
}

// noteOrphans records those of the objects that are not needed. One that has been replaced since counts as new. Objects
// younger than age are recorded too if their id is unknown: they may be a sign of an outdated database.
func (u *Upkeep) noteOrphans(ctx context.Context, number int64, batch []objects.Info, age time.Duration) error {
	keys := make([]string, len(batch))
	for i, o := range batch {
		keys[i] = o.Key
	}
	kinds, err := u.orphanKinds(ctx, keys, age)
	if err != nil {
		return err
	}
	var note pgx.Batch
	for i, o := range batch {
		old := time.Since(o.Modified)
		if kinds[i] == needed || old < age && (kinds[i] == notNeeded || old < unknownAge) {
			continue
		}
		note.Queue(`
			INSERT INTO orphans AS o (object_key, bytes, modified, unknown, first_sweep, last_sweep)
			VALUES ($1, $2, $3, $4, $5, $5)
			ON CONFLICT (object_key) DO UPDATE SET bytes = $2, modified = $3, unknown = $4, last_sweep = $5,
			    first_sweep = CASE WHEN o.modified = excluded.modified THEN o.first_sweep ELSE $5 END,
			    confirmed = o.confirmed AND o.modified = excluded.modified`,
			o.Key, o.Bytes, o.Modified, kinds[i] == unknownID, number)
	}
	return u.db.Pool.SendBatch(ctx, &note).Close()
}

// unusual returns why a sweep must not delete anything; empty if it may. Confirmed orphans do not count.
func (u *Upkeep) unusual(ctx context.Context, number int64, listed int, age time.Duration) (reason string, err error) {
	var unknown, newer int
	err = u.db.Pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE modified < clock_timestamp() - $2::bigint * interval '1 microsecond'),
		       count(*) FILTER (WHERE modified > $3::bigint * interval '1 microsecond' + coalesce(greatest(
		           (SELECT max(created_at) FROM uploads), (SELECT max(created_at) FROM deletions)), '-infinity'))
		FROM orphans WHERE unknown AND NOT confirmed AND last_sweep = $1`,
		number, age.Microseconds(), clockSkew.Microseconds()).Scan(&unknown, &newer)
	switch {
	case err != nil:
		return "", err
	case newer > 0:
		return fmt.Sprintf("%d objects of unknown owners are newer than the newest upload of the database: is it an old "+
			"copy?", newer), nil
	case unknown > max(unknownMax, listed*unknownPercent/100):
		return fmt.Sprintf("%d of %d objects have unknown owners", unknown, listed), nil
	}
	return "", nil
}

func (u *Upkeep) stopSweeps(ctx context.Context, reason string) error {
	_, err := u.db.Pool.Exec(ctx, `UPDATE installation SET stopped_at = clock_timestamp(), stopped_reason = $1`, reason)
	return err
}

// deleteOrphans deletes the recorded orphans that are still not needed, and their records.
func (w *Owner) deleteOrphans(ctx context.Context, number int64, age time.Duration) (swept int, err error) {
	for after := ""; ; {
		list, err := w.store.Upkeep.dueOrphans(ctx, number, after, age)
		if err != nil || len(list) == 0 {
			return swept, err
		}
		after = list[len(list)-1]
		kinds, err := w.store.Upkeep.orphanKinds(ctx, list, age)
		if err != nil {
			return swept, err
		}
		var of [unknownID + 1][]string
		for i, kind := range kinds {
			of[kind] = append(of[kind], list[i])
		}
		for kind, why := range map[orphanKind]objects.Reason{notNeeded: objects.NotNeeded, unknownID: objects.UnknownID} {
			if err := w.Objects().Delete(ctx, why, of[kind]...); err != nil {
				return swept, err
			}
			swept += len(of[kind])
		}
		if _, err := w.store.db.Pool.Exec(ctx, `DELETE FROM orphans WHERE object_key = ANY ($1)`, list); err != nil {
			return swept, err
		}
	}
}

// dueOrphans lists the next keys that a sweep is to delete, in order.
func (u *Upkeep) dueOrphans(ctx context.Context, number int64, after string, age time.Duration) ([]string, error) {
	rows, err := u.db.Pool.Query(ctx, `
		SELECT object_key FROM orphans
		WHERE (NOT unknown OR first_sweep < $1) AND object_key > $2
		  AND modified < clock_timestamp() - $3::bigint * interval '1 microsecond'
		ORDER BY object_key LIMIT $4`, number, after, age.Microseconds(), orphansAtOnce)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Orphan is an object that no row refers to, or that is no longer needed.
type Orphan struct {
	Key       string
	Bytes     int64
	Modified  time.Time
	Unknown   bool // no row has its id
	Confirmed bool
}

// Orphans lists the orphans that the last sweep found, in the order of keys.
func (u *Upkeep) Orphans(ctx context.Context) ([]Orphan, error) {
	rows, err := u.db.Pool.Query(ctx, `
		SELECT object_key, bytes, modified, unknown, confirmed FROM orphans ORDER BY object_key`)
	if err == nil {
		var list []Orphan
		if list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Orphan]); err == nil {
			return list, nil
		}
	}
	return nil, fmt.Errorf("list orphans: %w", err)
}

// ConfirmOrphans lets sweeps go on: an operator has looked at the objects of unknown owners that are listed, whose number
// must be count. Another number is [ErrConflict]. They are deleted by the next sweep.
func (u *Upkeep) ConfirmOrphans(ctx context.Context, count int) error {
	err := u.db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT FROM installation FOR UPDATE`); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE orphans SET confirmed = true WHERE unknown`)
		if err == nil && tag.RowsAffected() != int64(count) {
			err = fmt.Errorf("%w: %d objects of unknown owners are listed, not %d", ErrConflict, tag.RowsAffected(), count)
		}
		if err == nil {
			_, err = tx.Exec(ctx, `UPDATE installation SET stopped_at = NULL, stopped_reason = NULL`)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("confirm orphans: %w", err)
	}
	return nil
}
