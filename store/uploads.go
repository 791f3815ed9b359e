package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// Header is the parsed first line of a file; a worker needs it to read any part.
type Header struct {
	Columns   []string
	Delimiter byte
	Bytes     int64 // where the first data row starts
	Lines     int64 // physical lines in front of it
}

// Part is a run of whole rows of an upload, the unit of work.
type Part struct {
	No        int   // 0 is the first
	Planned   bool  // false: the borders inside the file are not known yet
	Offset    int64 // bytes from the start of the file
	Bytes     int64
	FirstRow  int64 // the first data row of the file is 1
	FirstLine int64
	Rows      int64
	Digest    objects.Digest // of what is read of the file: of the first part with what is before it; nil: not recorded
}

// Model names what scores a prediction. All of it is pinned when the prediction is made or planned.
type Model struct {
	Name, Version, SHA256 string
	Engine                string // version of the scoring code
}

// NewUpload is a file that lies in the object store and has been counted.
type NewUpload struct {
	ID         uuid.UUID // from NewID; the object key is made of it
	UserID     int64
	ObjectKey  string
	ObjectETag string
	Filename   string // metadata only
	Bytes      int64
	SHA256     [32]byte
	Rows       int64
	Header     Header
	Parts      []Part // in order; at least one
	Model      Model
	Dataset    string          // label of the series of uploads that this one belongs to; may be empty
	Explain    string          // "all", "at_risk" or "none"
	Options    json.RawMessage // further options for the worker; nil is none
	// Key, if set, is completed together with the upload; its Fingerprint is the caller's. Without one, the prediction's
	// PossibleDuplicateOf is set if a recent one scored the same content with the same model.
	Key *RequestKey
}

// NewID returns a new public id, a UUIDv7: later ids sort behind earlier ones.
func NewID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// CreateUpload records an upload, its prediction, its parts and its outbox row in one transaction and rings the
// doorbell. When it returns, nothing of it can be lost any more. The same upload id again is [ErrConflict]; a key that
// another request took over meanwhile is [ErrLeaseLost]; one prediction too many that waits is a [WaitingError]; a user
// who has left meanwhile is [ErrAccountDeleted]; a model that is not kept, was withdrawn or is retired is
// [models.ErrNotKept], [models.ErrWithdrawn] or [models.ErrRetired].
func (ps *Predictions) CreateUpload(ctx context.Context, u NewUpload) (Prediction, error) {
	id := NewID()
	err := ps.db.InTxAs(ctx, u.UserID, func(tx pgx.Tx) error {
		duplicate, err := duplicateOf(ctx, tx, u)
		if err != nil {
			return err
		}
		var uploadID int64
		err = tx.QueryRow(ctx, `
			INSERT INTO uploads (public_id, user_id, object_key, object_etag, filename, bytes, sha256,
			                     row_count, delimiter, columns, header_bytes, header_lines)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id`,
			u.ID, u.UserID, u.ObjectKey, u.ObjectETag, u.Filename, u.Bytes, u.SHA256[:],
			u.Rows, string(u.Header.Delimiter), u.Header.Columns, u.Header.Bytes, u.Header.Lines).Scan(&uploadID)
		if err != nil {
			return err
		}
		err = ps.insertPrediction(ctx, tx, newPrediction{
			publicID: id, uploadID: uploadID, userID: u.UserID,
			bytes: u.Bytes, model: u.Model, dataset: u.Dataset, explain: u.Explain, options: u.Options, parts: u.Parts,
			duplicateOf: duplicate,
		})
		if err != nil {
			return err
		}
		return u.Key.complete(ctx, tx, id)
	})
	if err != nil {
		return Prediction{}, fmt.Errorf("create upload: %w", conflict(err))
	}
	return ps.Get(ctx, u.UserID, id)
}

// duplicateOf finds the user's latest prediction of the same content by the same model, made a short while ago. Two
// uploads at the same moment do not see each other: it is a hint, and keys are for those who need more.
func duplicateOf(ctx context.Context, tx pgx.Tx, u NewUpload) (*uuid.UUID, error) {
	if u.Key != nil {
		return nil, nil // the caller knows which requests are one
	}
	var id *uuid.UUID
	err := tx.QueryRow(ctx, `
		SELECT max(d.public_id::text)::uuid
		FROM uploads u JOIN predictions d ON d.upload_id = u.id
		WHERE u.user_id = $1 AND u.sha256 = $2 AND u.created_at > clock_timestamp() - interval '10 minutes'
		  AND d.model_sha256 = $3 AND d.model_version = $4`,
		u.UserID, u.SHA256[:], u.Model.SHA256, u.Model.Version).Scan(&id)
	return id, err
}

type newPrediction struct {
	publicID uuid.UUID
	uploadID int64
	userID   int64
	bytes    int64 // of the file
	model    Model
	dataset  string
	explain  string
	options  json.RawMessage
	parts    []Part
	// duplicateOf is an earlier prediction that this one may repeat; nil is none.
	duplicateOf *uuid.UUID
}

// insertPrediction adds a prediction with its parts and its outbox row, if its user may have one more, and rings when the
// transaction commits.
func (ps *Predictions) insertPrediction(ctx context.Context, tx pgx.Tx, p newPrediction) error {
	if err := requireAccount(ctx, tx, p.userID); err != nil {
		return err
	}
	if err := ps.checkWaiting(ctx, tx, p.userID); err != nil {
		return err
	}
	if err := models.PinNew(ctx, tx, p.model.SHA256); err != nil {
		return err
	}
	var id int64
	at := turn{small: isSmall(p.bytes)}
	err := tx.QueryRow(ctx, `
		INSERT INTO predictions (public_id, upload_id, user_id, model_name, model_version, model_sha256,
		                         engine_version, dataset, explain, options, possible_duplicate_of, small, turn_end)
		VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''), nullif($6, ''), nullif($7, ''),
		        $8, coalesce(nullif($9, ''), 'all'), coalesce($10, '{}'::jsonb), $11, $12, next_turn($3, $12) + $13)
		RETURNING id, turn_end - $13`,
		p.publicID, p.uploadID, p.userID, p.model.Name, p.model.Version, p.model.SHA256,
		p.model.Engine, p.dataset, p.explain, p.options, p.duplicateOf, at.small, p.bytes).Scan(&id, &at.first)
	if err != nil {
		return err
	}
	if err := insertParts(ctx, tx, id, 1, at, p.parts); err != nil {
		return err
	}
	return ring(ctx, tx, id, p.publicID)
}

// SmallBytesMax is the size of the largest file that counts as small, whose user waits for it: some 15,000 rows.
const SmallBytesMax = 2 << 20

func isSmall(bytes int64) bool { return bytes <= SmallBytesMax }

// turn is where a file stands among those that wait: its lane, and the place of its first byte.
type turn struct {
	small bool
	first int64
}

// insertParts adds parts to the ledger in one statement.
func insertParts(ctx context.Context, tx pgx.Tx, prediction int64, generation int, at turn, parts []Part) error {
	if len(parts) == 0 {
		return fmt.Errorf("a prediction needs at least one part")
	}
	n := len(parts)
	no, offset, length := make([]int32, n), make([]int64, n), make([]*int64, n)
	row, line, rows, digest := make([]int64, n), make([]int64, n), make([]*int64, n), make([][]byte, n)
	for i, p := range parts {
		no[i], offset[i], row[i], line[i] = int32(p.No), p.Offset, p.FirstRow, p.FirstLine
		if p.Planned {
			length[i], rows[i], digest[i] = &p.Bytes, &p.Rows, p.Digest
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO prediction_parts (prediction_id, generation, part_no, byte_offset, byte_length,
		                              first_row, first_line, n_rows, input_digest, small, turn)
		SELECT $1, $2, p.*, $10, $11 + p.byte_offset
		FROM unnest($3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[])
		     AS p (part_no, byte_offset, byte_length, first_row, first_line, n_rows, input_digest)`,
		prediction, generation, no, offset, length, row, line, rows, digest, at.small, at.first)
	return err
}

// unplanned returns the one part of a file that has not been planned.
func unplanned() []Part { return []Part{{FirstRow: 1, FirstLine: 1}} }

// WaitingError means that a user has Max unfinished predictions already. Nothing was recorded.
type WaitingError struct{ Max int }

// Error implements error.
func (e *WaitingError) Error() string {
	return fmt.Sprintf("%d predictions of the user wait already", e.Max)
}

// checkWaiting returns a [WaitingError] if a user has waitingMax unfinished predictions. It reads that many entries of an
// index at most. Transactions of the same moment do not see each other, so a user may pass the bound by as many
// requests as are let in at once: an exact one would put all uploads of a user in a row.
func (ps *Predictions) checkWaiting(ctx context.Context, tx pgx.Tx, user int64) error {
	most := ps.waitingMax
	if most <= 0 {
		return nil
	}
	var waiting int
	err := tx.QueryRow(ctx, `
		SELECT count(*) FROM (SELECT FROM predictions
		    WHERE user_id = $1 AND status IN ('queued', 'running') LIMIT $2) w`, user, most).Scan(&waiting)
	if err == nil && waiting >= most {
		err = &WaitingError{Max: most}
	}
	return err
}
