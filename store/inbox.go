package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/objects"
)

// NewObject is a file that another program put into the object store.
type NewObject struct {
	UserID   int64
	Bucket   string
	Key      string
	Version  string    // as HEAD names it, and every read of it; empty if the bucket keeps no versions
	ETag     string    // pins every read of the object; may be empty
	Modified time.Time // as HEAD says it
	Bytes    int64
	Filename string          // metadata only
	Model    Model           // zero: chosen from the header when the file is planned
	Explain  string          // "all", "at_risk" or "none"; empty is "all"
	Options  json.RawMessage // nil is none
}

func (o NewObject) info() objects.Info {
	return objects.Info{Key: o.Key, ETag: o.ETag, Version: o.Version, Modified: o.Modified}
}

// EnqueueObject records an upload and a prediction for a dropped file, with one part that still has to be planned. The
// same put of it again ([objects.Info.Identity]) changes nothing and returns the prediction that exists, with created
// false, or [ErrNotFound] if that was deleted within the last day. One prediction too many that waits is a [WaitingError].
func (ps *Predictions) EnqueueObject(ctx context.Context, o NewObject) (p Prediction, created bool, err error) {
	id := NewID()
	err = ps.db.InTx(ctx, func(tx pgx.Tx) error {
		uploadID, err := insertDropped(ctx, tx, o)
		if errors.Is(err, pgx.ErrNoRows) {
			return stampRecorded(ctx, tx, o)
		}
		if err != nil {
			return err
		}
		created = true
		return ps.insertPrediction(ctx, tx, newPrediction{
			publicID: id, uploadID: uploadID, userID: o.UserID,
			bytes: o.Bytes, model: o.Model, explain: o.Explain, options: o.Options, parts: unplanned(),
		})
	})
	if err == nil && !created {
		id, err = ps.predictionOfObject(ctx, o)
	}
	if err == nil {
		p, err = ps.Get(ctx, o.UserID, id)
	}
	if err != nil {
		return Prediction{}, false, fmt.Errorf("enqueue object: %w", err)
	}
	return p, created, nil
}

// insertDropped returns [pgx.ErrNoRows] if the put is recorded, and [ErrNotFound] if it was deleted. A trigger compares it
// with rows of earlier versions (migration 32). Deletions are read last: the insert waits for one that is under way.
func insertDropped(ctx context.Context, tx pgx.Tx, o NewObject) (id int64, err error) {
	info := o.info()
	err = tx.QueryRow(ctx, `
		INSERT INTO uploads (public_id, user_id, object_key, object_etag, object_version, filename, bytes,
		                     source_bucket, source_key, source_version, source_stamp)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $3, $9, $10)
		ON CONFLICT (source_bucket, source_key, source_version) DO NOTHING RETURNING id`,
		NewID(), o.UserID, o.Key, o.ETag, o.Version, o.Filename, o.Bytes, o.Bucket, info.Identity(), info.Stamp()).Scan(&id)
	if err != nil {
		return 0, err
	}
	var deleted bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM deletions WHERE source_key = $1 AND source_stamp = $2)`,
		o.Key, info.Stamp()).Scan(&deleted)
	if deleted {
		err = ErrNotFound
	}
	return id, err
}

// stampRecorded lets [Upkeep.UnrecordedObjects] know a put that an earlier version recorded.
func stampRecorded(ctx context.Context, tx pgx.Tx, o NewObject) error {
	info := o.info()
	_, err := tx.Exec(ctx, `
		UPDATE uploads SET source_stamp = $4
		WHERE source_bucket = $1 AND source_key = $2 AND source_stamp IS DISTINCT FROM $4
		  AND (source_version = $3 AND source_stamp IS NULL OR source_version = $5 AND $5 <> '')`,
		o.Bucket, o.Key, info.Identity(), info.Stamp(), o.ETag)
	return err
}

// predictionOfObject finds the first prediction of a dropped file. It is not found if the file was another user's.
func (ps *Predictions) predictionOfObject(ctx context.Context, o NewObject) (uuid.UUID, error) {
	var id uuid.UUID
	err := ps.db.Pool.QueryRow(ctx, `
		SELECT d.public_id FROM uploads u JOIN predictions d ON d.upload_id = u.id
		WHERE u.source_bucket = $1 AND u.source_key = $2 AND u.source_version IN ($3, $4) AND u.user_id = $5
		ORDER BY u.source_version = $3 DESC, d.id LIMIT 1`,
		o.Bucket, o.Key, o.info().Identity(), o.ETag, o.UserID).Scan(&id)
	return id, notFound(err)
}

// UnrecordedObjects returns those of the dropped objects whose put has no upload, and a few more: of one that an earlier
// version recorded only [Predictions.EnqueueObject] can tell. A put that was deleted within the last day is not among them.
func (u *Upkeep) UnrecordedObjects(ctx context.Context, bucket string, list []objects.Info) ([]objects.Info, error) {
	keys, stamps, times := make([]string, len(list)), make([]string, len(list)), make([]time.Time, len(list))
	for i, o := range list {
		keys[i], stamps[i], times[i] = o.Key, o.Stamp(), o.Modified
	}
	rows, err := u.db.Pool.Query(ctx, `
		SELECT k.i - 1 FROM unnest($2::text[], $3::text[], $4::timestamptz[]) WITH ORDINALITY AS k (key, stamp, modified, i)
		WHERE NOT EXISTS (SELECT FROM uploads u WHERE u.source_bucket = $1 AND u.source_key = k.key
		                  AND (u.source_stamp = k.stamp OR u.source_stamp IS NULL AND u.created_at >= k.modified))
		  AND NOT EXISTS (SELECT FROM deletions x WHERE x.source_key = k.key AND coalesce(x.source_stamp, k.stamp) = k.stamp)`,
		bucket, keys, stamps, times)
	if err != nil {
		return nil, fmt.Errorf("compare inbox: %w", err)
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("compare inbox: %w", err)
	}
	unrecorded := make([]objects.Info, len(indexes))
	for i, index := range indexes {
		unrecorded[i] = list[index]
	}
	return unrecorded, nil
}
