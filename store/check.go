package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// A check compares the objects that rows refer to with those that are stored. It changes nothing, and may run while the
// server does.

// Problem is an object that a check found wrong.
type Problem struct {
	What string // "missing", "size", "digest" or "unknown"
	Key  string // without customers' file names
	Of   string // what the object is: "upload", "result", "rejects", "snapshot", "part", "model"; empty if unknown
}

// Checked counts what a check compared.
type Checked struct {
	Rows, Objects int // objects that rows refer to; objects that exist
	Digests       int // of the first: read and compared with the digest that was recorded
	NotNeeded     int // of the second: left behind, and removed by the next sweep
}

const checkedAtOnce = 200

// expected is an object that a row refers to.
type expected struct {
	prediction int64
	of, key    string
	version    string         // empty: the newest
	bytes      int64          // -1: not recorded
	sha256     []byte         // nil: not recorded
	digest     objects.Digest // nil: not recorded
}

func (e *expected) hasDigest() bool { return e.sha256 != nil || e.digest != nil }

// CheckObjects finds objects that rows refer to and that are missing or changed, and objects whose id no row has. With
// digests, objects whose digest was recorded are read and compared with it. found is called for each problem.
func (u *Upkeep) CheckObjects(
	ctx context.Context, o objects.Store, digests bool, found func(Problem),
) (c Checked, err error) {
	if err := u.checkRows(ctx, o, digests, &c, found); err != nil {
		return c, fmt.Errorf("check objects: %w", err)
	}
	if err := u.checkModels(ctx, o, digests, &c, found); err != nil {
		return c, fmt.Errorf("check objects: %w", err)
	}
	if err := u.checkUnknown(ctx, o, &c, found); err != nil {
		return c, fmt.Errorf("check objects: %w", err)
	}
	return c, nil
}

func (u *Upkeep) checkRows(ctx context.Context, o objects.Store, digests bool, c *Checked, found func(Problem)) error {
	for after := int64(0); ; {
		list, last, err := u.expectedObjects(ctx, after, checkedAtOnce)
		if err != nil || last == after {
			return err
		}
		after = last
		wrong := make([]string, len(list))
		err = objects.Parallel(ctx, len(list), func(ctx context.Context, i int) (err error) {
			wrong[i], err = compareObject(ctx, o, list[i], digests)
			return err
		})
		if err != nil {
			return err
		}
		for i, what := range wrong {
			c.Rows++
			if digests && list[i].hasDigest() {
				c.Digests++
			}
			if what == "" {
				continue
			}
			if still, err := u.stillExpected(ctx, list[i]); err != nil {
				return err
			} else if still { // else it was joined, expired or deleted meanwhile
				found(Problem{What: what, Key: objects.Loggable(list[i].key), Of: list[i].of})
			}
		}
	}
}

// compareObject returns a [Problem].What; empty if the object is as expected.
func compareObject(ctx context.Context, o objects.Store, e expected, digests bool) (string, error) {
	info, err := o.HeadVersion(ctx, e.key, e.version)
	switch {
	case errors.Is(err, ErrNotFound):
		return "missing", nil
	case err != nil:
		return "", err
	case e.bytes >= 0 && info.Bytes != e.bytes:
		return "size", nil
	case !digests || !e.hasDigest():
		return "", nil
	}
	digest := sha256.New()
	err = e.read(ctx, o, info.ETag, digest)
	if errors.Is(err, objects.ErrDamaged) || err == nil && e.sha256 != nil && !bytes.Equal(digest.Sum(nil), e.sha256) {
		return "digest", nil
	}
	return "", err
}

// read compares an object with its digest and copies it to w.
func (e *expected) read(ctx context.Context, o objects.Store, etag string, w io.Writer) error {
	body, _, err := objects.Read(ctx, o, objects.Source{Key: e.key, ETag: etag, Digest: e.digest}, objects.Range{Version: e.version})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	return errors.Join(err, body.Close())
}

func (u *Upkeep) stillExpected(ctx context.Context, e expected) (bool, error) {
	now, _, err := u.expectedObjects(ctx, e.prediction-1, 1)
	return slices.ContainsFunc(now, func(n expected) bool { return n.prediction == e.prediction && n.key == e.key }), err
}

// selectExpected selects what the predictions after $1, at most $2 of them, refer to: a row for each object, and one for a
// prediction without any.
const selectExpected = `
	WITH d AS (
	    SELECT *, status IN ('queued', 'running') OR finish_due AS open FROM predictions
	    WHERE id > $1 ORDER BY id LIMIT $2
	), list AS (
	    SELECT d.id, 'upload' AS of, u.object_key AS key, NULL::int AS part, coalesce(u.bytes, -1) AS bytes, u.sha256,
	           NULL::bytea AS digest, u.object_version AS version
	    FROM d JOIN uploads u ON u.id = d.upload_id
	    WHERE results_deleted_at IS NULL AND (u.object_key LIKE 'uploads/%' OR d.open)
	    UNION ALL
	    SELECT id, 'result', result_key, NULL, result_bytes, result_sha256, result_digest, '' FROM d
	    WHERE result_key IS NOT NULL AND results_deleted_at IS NULL
	    UNION ALL
	    SELECT id, 'rejects', rejects_key, NULL, rejects_bytes, rejects_sha256, rejects_digest, '' FROM d
	    WHERE rejects_key IS NOT NULL AND results_deleted_at IS NULL
	    UNION ALL
	    SELECT d.id, w.of, NULL, p.part_no, w.bytes, NULL, w.digest, ''
	    FROM d JOIN prediction_parts p ON p.prediction_id = d.id AND p.generation = d.generation
	    CROSS JOIN LATERAL (VALUES ('part', p.result_bytes, p.result_digest, d.open),
	        ('rejected', p.rejects_bytes, p.rejects_digest, d.open),
	        ('snapshot', p.snapshot_bytes, p.snapshot_digest, d.open OR d.result_key IS NOT NULL))
	        AS w (of, bytes, digest, needed)
	    WHERE p.status = 'done' AND w.needed AND w.bytes > 0 AND results_deleted_at IS NULL
	)
	SELECT d.id, d.public_id, d.generation, list.of, list.key, list.part, list.bytes, list.sha256, list.digest,
	       coalesce(list.version, '')
	FROM d LEFT JOIN list ON list.id = d.id ORDER BY d.id`

// expectedObjects lists the objects of some predictions in the order of their ids, and the last of these. A
// dropped file is needed until it has been copied; parts until they have been joined.
func (u *Upkeep) expectedObjects(ctx context.Context, after int64, limit int) ([]expected, int64, error) {
	rows, err := u.db.Pool.Query(ctx, selectExpected, after, limit)
	if err != nil {
		return nil, after, err
	}
	var list []expected
	var id uuid.UUID
	var generation int
	var of, key *string
	var part *int
	var size *int64
	var e expected
	_, err = pgx.ForEachRow(rows, []any{&e.prediction, &id, &generation, &of, &key, &part, &size, &e.sha256, (*[]byte)(&e.digest), &e.version},
		func() error {
			after = e.prediction
			if of == nil {
				return nil // it has none
			}
			e.of, e.bytes = *of, -1
			if size != nil {
				e.bytes = *size
			}
			switch e.of {
			case "part":
				e.key = objects.PartKey(id, generation, *part, objects.ResultName)
			case "rejected":
				e.of, e.key = "part", objects.PartKey(id, generation, *part, objects.RejectsName)
			case "snapshot":
				e.key = objects.SnapshotKey(id, generation, *part)
			default:
				e.key = *key
			}
			list = append(list, e)
			e.sha256, e.digest = nil, nil
			return nil
		})
	return list, after, err
}

// checkModels compares the archives of kept models.
func (u *Upkeep) checkModels(ctx context.Context, o objects.Store, digests bool, c *Checked, found func(Problem)) error {
	list, err := models.New(u.db).List(ctx)
	if err != nil {
		return err
	}
	for _, m := range list {
		what, err := compareObject(ctx, o, expected{key: m.Key, bytes: m.Bytes, sha256: m.ArchiveSHA256[:]}, digests)
		if err != nil {
			return err
		}
		c.Rows++
		if digests {
			c.Digests++
		}
		if what != "" {
			found(Problem{What: what, Key: m.Key, Of: "model"})
		}
	}
	return nil
}

func (u *Upkeep) checkUnknown(ctx context.Context, o objects.Store, c *Checked, found func(Problem)) error {
	var batch []string
	check := func() error {
		kinds, err := u.orphanKinds(ctx, batch, 24*time.Hour)
		if err != nil {
			return err
		}
		for i, kind := range kinds {
			switch kind {
			case notNeeded:
				c.NotNeeded++
			case unknownID:
				found(Problem{What: "unknown", Key: batch[i]})
			}
		}
		batch = batch[:0]
		return nil
	}
	for _, folder := range objects.OwnFolders {
		for info, err := range o.List(ctx, folder) {
			if err != nil {
				return err
			}
			c.Objects++
			if time.Since(info.Modified) < clockSkew {
				continue // its row may follow
			}
			if batch = append(batch, info.Key); len(batch) == orphansAtOnce {
				if err := check(); err != nil {
					return err
				}
			}
		}
	}
	return check()
}
