package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// NewObject is a file that another program put into the object store.
type NewObject struct {
	UserID   int64
	Bucket   string
	Key      string
	Version  string // version id, else the ETag
	ETag     string // pins every read of the object; may be empty
	Bytes    int64
	Filename string          // metadata only
	Model    Model           // zero: chosen from the header when the file is planned
	Explain  string          // "all", "at_risk" or "none"; empty is "all"
	Options  json.RawMessage // nil is none
}

// EnqueueObject records an upload and a prediction for a dropped file, with one part that still has to be planned. The
// same bucket, key and version again changes nothing and returns the prediction that exists, with created false. One
// prediction too many that waits is a [WaitingError].
func (ps *Predictions) EnqueueObject(ctx context.Context, o NewObject) (p Prediction, created bool, err error) {
	id := NewID()
	err = ps.db.InTx(ctx, func(tx pgx.Tx) error {
		var uploadID int64
		err := tx.QueryRow(ctx, `
			INSERT INTO uploads (public_id, user_id, object_key, object_etag, filename, bytes,
			                     source_bucket, source_key, source_version)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $3, $8)
			ON CONFLICT (source_bucket, source_key, source_version) DO NOTHING RETURNING id`,
			NewID(), o.UserID, o.Key, o.ETag, o.Filename, o.Bytes, o.Bucket, o.Version).Scan(&uploadID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
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

// predictionOfObject finds the first prediction of a dropped file. It is not found if the file was another user's.
func (ps *Predictions) predictionOfObject(ctx context.Context, o NewObject) (uuid.UUID, error) {
	var id uuid.UUID
	err := ps.db.Pool.QueryRow(ctx, `
		SELECT d.public_id FROM uploads u JOIN predictions d ON d.upload_id = u.id
		WHERE u.source_bucket = $1 AND u.source_key = $2 AND u.source_version = $3 AND u.user_id = $4
		ORDER BY d.id LIMIT 1`, o.Bucket, o.Key, o.Version, o.UserID).Scan(&id)
	return id, notFound(err)
}
