package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/internal/database"
	"github.com/retainwise/millrace/store/objects"
)

// UploadLinks is the view for permissions to put one file into the object store directly. It is safe for concurrent use.
type UploadLinks struct {
	db          *database.DB
	predictions *Predictions
}

// DirectKey is the key of the file of an upload link.
func DirectKey(upload uuid.UUID) string { return objects.DirectPrefix + upload.String() + ".csv" }

// DirectUpload is the upload whose file has a key; false if it is no such key.
func DirectUpload(key string) (uuid.UUID, bool) {
	name, ok := strings.CutPrefix(key, objects.DirectPrefix)
	id, err := uuid.Parse(strings.TrimSuffix(name, ".csv"))
	return id, ok && err == nil && DirectKey(id) == key
}

// UploadLink is a permission to put one file straight into the bucket.
type UploadLink struct {
	ID       uuid.UUID // of the upload that it will be
	UserID   int64
	Filename string // metadata only
	Bytes    int64  // exactly
	Model    string // empty: chosen from the header
	Explain  string
	Options  json.RawMessage
	// Prediction is zero until the upload was completed.
	Prediction uuid.UUID
	ExpiresAt  time.Time
	Key        *RequestKey // completed when the link is created; nil: none
}

// Create records a link that expires after life, and sets l.ExpiresAt.
func (u *UploadLinks) Create(ctx context.Context, l *UploadLink, life time.Duration) error {
	err := u.db.InTxAs(ctx, l.UserID, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO upload_links (public_id, user_id, filename, bytes, model_name, explain, options, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + $8::bigint * interval '1 microsecond')
			RETURNING expires_at`,
			l.ID, l.UserID, l.Filename, l.Bytes, l.Model, l.Explain, l.Options, life.Microseconds()).Scan(&l.ExpiresAt)
		if err != nil {
			return err
		}
		return l.Key.complete(ctx, tx, l.ID)
	})
	if err != nil {
		return fmt.Errorf("create upload link: %w", err)
	}
	return nil
}

const selectUploadLink = `
	SELECT public_id, user_id, filename, bytes, model_name, explain, options,
	       coalesce(prediction_id, '00000000-0000-0000-0000-000000000000'), expires_at FROM upload_links `

func (l *UploadLink) scan(row pgx.Row) error {
	return notFound(row.Scan(&l.ID, &l.UserID, &l.Filename, &l.Bytes, &l.Model, &l.Explain, &l.Options, &l.Prediction,
		&l.ExpiresAt))
}

// Get returns a user's link, or [ErrNotFound].
func (u *UploadLinks) Get(ctx context.Context, user int64, id uuid.UUID) (l UploadLink, err error) {
	err = u.db.InTxAs(ctx, user, func(tx pgx.Tx) error {
		return l.scan(tx.QueryRow(ctx, selectUploadLink+`WHERE public_id = $1 AND user_id = $2`, id, user))
	})
	if err != nil {
		return l, fmt.Errorf("upload link: %w", err)
	}
	return l, nil
}

// OfObject returns the link of any user that a file in the bucket belongs to, or [ErrNotFound]: for events of the bucket.
func (u *UploadLinks) OfObject(ctx context.Context, id uuid.UUID) (l UploadLink, err error) {
	if err := l.scan(u.db.Pool.QueryRow(ctx, selectUploadLink+`WHERE public_id = $1`, id)); err != nil {
		return l, fmt.Errorf("upload link: %w", err)
	}
	return l, nil
}

// Complete makes an upload and its prediction of the file that a link was for. Done again it changes nothing and
// returns the prediction that exists. One prediction too many that waits is a [WaitingError].
func (u *UploadLinks) Complete(ctx context.Context, l UploadLink, file objects.Info) (Prediction, error) {
	id := NewID()
	err := u.db.InTxAs(ctx, l.UserID, func(tx pgx.Tx) error {
		err := l.scan(tx.QueryRow(ctx, selectUploadLink+`WHERE public_id = $1 AND user_id = $2 FOR UPDATE`,
			l.ID, l.UserID))
		if err != nil {
			return err
		}
		if l.Prediction != uuid.Nil {
			id = l.Prediction
			return nil
		}
		var upload int64
		err = tx.QueryRow(ctx, `
			INSERT INTO uploads (public_id, user_id, object_key, object_etag, filename, bytes)
			VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
			l.ID, l.UserID, DirectKey(l.ID), file.ETag, l.Filename, file.Bytes).Scan(&upload)
		if err != nil {
			return err
		}
		err = u.predictions.insertPrediction(ctx, tx, newPrediction{
			publicID: id, uploadID: upload, userID: l.UserID, bytes: file.Bytes, model: Model{Name: l.Model},
			explain: l.Explain, options: l.Options, parts: unplanned(),
		})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE upload_links SET prediction_id = $2, postponed = false WHERE public_id = $1`, l.ID, id)
		return err
	})
	if err != nil {
		return Prediction{}, fmt.Errorf("complete upload: %w", err)
	}
	return u.predictions.Get(ctx, l.UserID, id)
}

// Postpone marks a link whose file is there but whose owner has too many unfinished predictions, so that it is kept
// until it can be completed. With false, the mark is removed.
func (u *UploadLinks) Postpone(ctx context.Context, id uuid.UUID, postponed bool) error {
	_, err := u.db.Pool.Exec(ctx, `
		UPDATE upload_links SET postponed = $2 WHERE public_id = $1 AND prediction_id IS NULL`, id, postponed)
	if err != nil {
		return fmt.Errorf("postpone upload link: %w", err)
	}
	return nil
}

// postponedAtOnce is the most links that Postponed returns.
const postponedAtOnce = 100

// Postponed returns at most [postponedAtOnce] postponed links, oldest first, without those of the users in but.
func (u *UploadLinks) Postponed(ctx context.Context, but []int64) ([]UploadLink, error) {
	rows, err := u.db.Pool.Query(ctx, selectUploadLink+`
		WHERE postponed AND user_id <> ALL (coalesce($1, '{}'::bigint[])) ORDER BY expires_at LIMIT $2`,
		but, postponedAtOnce)
	if err != nil {
		return nil, fmt.Errorf("list postponed links: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l UploadLink, err error) {
		return l, l.scan(row)
	})
	if err != nil {
		return nil, fmt.Errorf("list postponed links: %w", err)
	}
	return list, nil
}

// Sweep deletes links that expired more than age ago, except postponed ones. Files of uncompleted links are left to
// [Upkeep.SweepDeletions].
func (u *UploadLinks) Sweep(ctx context.Context, age time.Duration) error {
	_, err := u.db.Pool.Exec(ctx, `
		WITH gone AS (
		    DELETE FROM upload_links
		    WHERE expires_at < statement_timestamp() - $1::bigint * interval '1 microsecond' AND NOT postponed
		    RETURNING public_id, user_id, prediction_id
		)
		INSERT INTO deletions (prediction_id, upload_id, user_id)
		SELECT gen_random_uuid(), public_id, user_id FROM gone WHERE prediction_id IS NULL`, age.Microseconds())
	if err != nil {
		return fmt.Errorf("sweep upload links: %w", err)
	}
	return nil
}
