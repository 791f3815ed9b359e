package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/internal/database"
	"github.com/retainwise/millrace/store/objects"
)

// Predictions is the view of users' files, predictions and scored rows. Each method sees the rows of the user it names
// only. It is safe for concurrent use.
type Predictions struct {
	db         *database.DB
	waitingMax int // unfinished predictions of a user; 0: any number
	watchers   *watchers
}

// Status is where a prediction stands.
type Status string

// The statuses of a prediction.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Completed Status = "completed"
	Failed    Status = "failed"    // for a reason that another attempt cannot cure
	Cancelled Status = "cancelled" // rows scored before stay readable
	Dead      Status = "dead"      // every attempt failed; an operator can retry it
)

// Done reports whether the prediction has ended: it changes only if it is retried.
func (s Status) Done() bool { return s != Queued && s != Running }

// Failure is why an attempt, and in the end a prediction, failed. It holds no cell of a customer's file.
type Failure struct {
	// Code is a published error code; empty if the worker vanished without reporting one.
	Code      string          `json:"code"`
	Stage     string          `json:"stage"`
	Chunk     int64           `json:"chunk,omitempty"`
	Message   string          `json:"message"`
	Details   json.RawMessage `json:"details,omitempty"`
	Permanent bool            `json:"permanent,omitempty"` // another attempt would fail the same way
	// RejectsKey is the object of the rejected rows, which a failed prediction keeps; empty if there is none.
	RejectsKey    string         `json:"-"`
	RejectsBytes  int64          `json:"-"`
	RejectsDigest objects.Digest `json:"-"` // nil: not known, and so is a nil SHA-256
	RejectsSHA256 []byte         `json:"-"`
}

// Prediction is the scoring of one upload as its owner sees it.
type Prediction struct {
	ID, UploadID uuid.UUID
	InternalID   int64
	UploadNumber int64 // what customers know the upload by
	UserID       int64
	Filename     string
	Bytes        int64
	SHA256       []byte // nil until known
	RowCount     *int64 // nil until the file has been planned
	Columns      []string

	Status       Status
	StatusReason string
	Generation   int
	Model        Model // zero until chosen
	Dataset      string
	Explain      string
	Options      json.RawMessage
	// PossibleDuplicateOf is an earlier prediction of the same content by the same model; nil: none is known.
	PossibleDuplicateOf *uuid.UUID

	// Scored and Rejected count committed rows, also while it runs.
	Scored, Rejected      int64
	PartsDone, PartsTotal int
	ProgressedAt          *time.Time      // when rows were committed last; nil: none were
	Warnings, Summary     json.RawMessage // as given to Finish; nil before
	Error                 *Failure        // set if failed or dead

	ResultKey, ResultETag, RejectsKey string // empty until finished
	ResultBytes, RejectsBytes         int64

	CreatedAt, QueuedAt                  time.Time
	StartedAt, FirstResultAt, FinishedAt *time.Time
	ResultsDeletedAt                     *time.Time // they have expired
}

// Cursor is a place in a list that is sorted newest first.
type Cursor struct {
	CreatedAt time.Time
	ID        int64
}

// Cursor returns the place behind the prediction in a list.
func (p Prediction) Cursor() *Cursor { return &Cursor{CreatedAt: p.CreatedAt, ID: p.InternalID} }

// A finished prediction carries its counts; those of an unfinished one are the sum of its ledger.
const (
	selectPrediction = predictionColumns + `d.summary` + predictionTables
	selectListed     = predictionColumns + `NULL::jsonb` + predictionTables // summaries are large
)

const predictionColumns = `
	SELECT d.public_id, u.public_id, d.id, u.id, d.user_id, u.filename, coalesce(u.bytes, 0), u.sha256, u.row_count,
	       u.columns, d.status, coalesce(d.status_reason, ''), d.generation,
	       coalesce(d.model_name, ''), coalesce(d.model_version, ''), coalesce(d.model_sha256, ''),
	       coalesce(d.engine_version, ''), d.dataset, d.explain, d.options, d.possible_duplicate_of,
	       p.scored, p.rejected, p.done, p.total, p.progressed_at, d.warnings, d.error,
	       coalesce(d.result_key, ''), coalesce(d.result_etag, ''), coalesce(d.rejects_key, ''),
	       coalesce(d.result_bytes, 0), coalesce(d.rejects_bytes, 0),
	       d.created_at, d.queued_at, d.started_at, d.first_result_at, d.finished_at, d.results_deleted_at, `

const predictionTables = `
	FROM predictions d
	JOIN uploads u ON u.id = d.upload_id
	CROSS JOIN LATERAL (
	    SELECT coalesce(sum(n_scored), 0)::bigint AS scored, coalesce(sum(n_rejected), 0)::bigint AS rejected,
	           count(*) FILTER (WHERE status = 'done')::int AS done, count(*)::int AS total,
	           max(done_at) AS progressed_at
	    FROM prediction_parts WHERE prediction_id = d.id AND generation = d.generation
	) p `

func scanPrediction(row pgx.CollectableRow) (Prediction, error) {
	var p Prediction
	err := row.Scan(&p.ID, &p.UploadID, &p.InternalID, &p.UploadNumber, &p.UserID, &p.Filename, &p.Bytes, &p.SHA256,
		&p.RowCount, &p.Columns, &p.Status, &p.StatusReason, &p.Generation,
		&p.Model.Name, &p.Model.Version, &p.Model.SHA256,
		&p.Model.Engine, &p.Dataset, &p.Explain, &p.Options, &p.PossibleDuplicateOf,
		&p.Scored, &p.Rejected, &p.PartsDone, &p.PartsTotal, &p.ProgressedAt, &p.Warnings, &p.Error,
		&p.ResultKey, &p.ResultETag, &p.RejectsKey,
		&p.ResultBytes, &p.RejectsBytes,
		&p.CreatedAt, &p.QueuedAt, &p.StartedAt, &p.FirstResultAt, &p.FinishedAt, &p.ResultsDeletedAt, &p.Summary)
	return p, err
}

// Get returns a user's prediction, or [ErrNotFound].
func (ps *Predictions) Get(ctx context.Context, userID int64, id uuid.UUID) (Prediction, error) {
	var p Prediction
	err := ps.db.ReadAs(ctx, userID, selectPrediction+`WHERE d.public_id = $1 AND d.user_id = $2`, []any{id, userID},
		func(rows pgx.Rows) (err error) {
			p, err = pgx.CollectExactlyOneRow(rows, scanPrediction)
			return err
		})
	if err != nil {
		return Prediction{}, fmt.Errorf("read prediction: %w", notFound(err))
	}
	return p, nil
}

// ListQuery selects a page of a list, newest first. The zero value selects nothing, as its Limit is 0.
type ListQuery struct {
	After *Cursor // what the page begins behind; nil: the start
	Skip  int     // how many to pass over from there
	Limit int     // the most that the page has
}

// List returns a page of a user's predictions, newest first, without their summaries. What it skips costs an
// entry of one index each and nothing else: only the page itself is joined with the other tables.
func (ps *Predictions) List(ctx context.Context, userID int64, q ListQuery) ([]Prediction, error) {
	// The subquery hides from the planner how many predictions this user has. If that were a large share, it would walk
	// the index of all users by time in the hope of meeting some soon, which fails where the user's are all old.
	where, args := `user_id = (SELECT $1::bigint) `, []any{userID, q.Limit, q.Skip}
	if q.After != nil {
		where += `AND (created_at, id) < ($4, $5) `
		args = append(args, q.After.CreatedAt, q.After.ID)
	}
	page := `WHERE d.user_id = $1 AND d.id = ANY (ARRAY(SELECT id FROM predictions WHERE ` + where +
		`ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3)) `
	var list []Prediction
	err := ps.db.ReadAs(ctx, userID, selectListed+page+`ORDER BY d.created_at DESC, d.id DESC`, args,
		func(rows pgx.Rows) (err error) {
			list, err = pgx.CollectRows(rows, scanPrediction)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list predictions: %w", err)
	}
	return list, nil
}

// Cancel stops a user's prediction. Rows committed before stay; the object with them is due, see [Ledger.ClaimFinish].
// A prediction that is done already is [ErrConflict], unless it was cancelled before, which changes nothing.
func (ps *Predictions) Cancel(ctx context.Context, userID int64, id uuid.UUID) (Prediction, error) {
	err := ps.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		var internal int64
		var upload int64
		var status Status
		err := tx.QueryRow(ctx, `
			SELECT id, upload_id, status FROM predictions WHERE public_id = $1 AND user_id = $2 FOR NO KEY UPDATE`,
			id, userID).Scan(&internal, &upload, &status)
		if err != nil {
			return notFound(err)
		}
		if status.Done() {
			if status == Cancelled {
				return nil
			}
			return ErrConflict
		}
		return cancel(ctx, tx, internal, upload)
	})
	if err != nil {
		return Prediction{}, fmt.Errorf("cancel: %w", err)
	}
	return ps.Get(ctx, userID, id)
}

// CancelAny is Cancel for an operator, for the prediction of any user.
func (u *Upkeep) CancelAny(ctx context.Context, id uuid.UUID) (Prediction, error) {
	var user int64
	err := u.db.Pool.QueryRow(ctx, `SELECT user_id FROM predictions WHERE public_id = $1`, id).Scan(&user)
	if err != nil {
		return Prediction{}, fmt.Errorf("cancel: %w", notFound(err))
	}
	return u.predictions.Cancel(ctx, user, id)
}

func cancel(ctx context.Context, tx pgx.Tx, id, upload int64) error {
	_, err := tx.Exec(ctx, `
		UPDATE predictions d SET status = 'cancelled', status_reason = NULL, finished_at = clock_timestamp(),
		    finish_lease_until = '-infinity', finish_attempts = 0, finish_worker = NULL,
		    finish_due = EXISTS (SELECT FROM prediction_parts p
		        WHERE p.prediction_id = d.id AND p.generation = d.generation AND p.status = 'done')
		WHERE id = $1`, id)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		UPDATE uploads SET status = 'failed', updated_at = clock_timestamp() WHERE id = $1`, upload); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT pg_notify($1, ''), pg_notify($2, $3::bigint::text)`, doorbell, changes, id)
	return err
}

// File is an object that a prediction has published.
type File struct {
	Key    string
	ETag   string         // of the result only
	Digest objects.Digest // nil: not recorded
	SHA256 []byte         // nil: not known yet
}

// File returns a published object of a prediction: [objects.ResultName] or [objects.RejectsName]. It is [ErrNotFound] if
// the prediction is of another generation by now, or has no such object any more.
func (ps *Predictions) File(ctx context.Context, p Prediction, name string) (File, error) {
	column := fileColumns(name)
	etag := `''`
	if name == objects.ResultName {
		etag = `coalesce(result_etag, '')`
	}
	var f File
	err := ps.db.ReadAs(ctx, p.UserID, `
		SELECT `+column+`_key, `+etag+`, `+column+`_digest, `+column+`_sha256 FROM predictions
		WHERE public_id = $1 AND user_id = $2 AND generation = $3 AND `+column+`_key IS NOT NULL`,
		[]any{p.ID, p.UserID, p.Generation}, func(rows pgx.Rows) (err error) {
			f, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (f File, err error) {
				return f, row.Scan(&f.Key, &f.ETag, (*[]byte)(&f.Digest), &f.SHA256)
			})
			return err
		})
	if err != nil {
		return File{}, fmt.Errorf("read file of prediction: %w", notFound(err))
	}
	return f, nil
}

// RecordSHA256 records the SHA-256 of a published object that has none yet.
func (ps *Predictions) RecordSHA256(ctx context.Context, p Prediction, name string, f File) error {
	column := fileColumns(name)
	err := ps.db.ReadAs(ctx, p.UserID, `
		UPDATE predictions SET `+column+`_sha256 = $5
		WHERE public_id = $1 AND user_id = $2 AND generation = $3 AND `+column+`_key = $4 AND `+column+`_sha256 IS NULL`,
		[]any{p.ID, p.UserID, p.Generation, f.Key, f.SHA256}, func(rows pgx.Rows) error {
			rows.Close()
			return rows.Err()
		})
	if err != nil {
		return fmt.Errorf("record sha256: %w", err)
	}
	return nil
}

// fileColumns returns what the names of the columns of a file begin with.
func fileColumns(name string) string {
	if name == objects.RejectsName {
		return "rejects"
	}
	return "result"
}

// Ahead is the work that is queued before a prediction.
type Ahead struct {
	Predictions int
	Rows        int64 // that are not scored yet, of files that have been counted
	Uncounted   int   // predictions whose rows have not been counted
	// RowsPerSecond is how fast the lane of the prediction went lately while there was work in it; 0: not known.
	RowsPerSecond float64
}

// Ahead counts what will be scored before a prediction, if nothing else comes. The speed is that of the last five
// minutes: the rows of predictions that ended or made progress in them, over the time in which any was being scored. It
// reads other users' predictions, so it is a function of the database: see the migrations.
func (ps *Predictions) Ahead(ctx context.Context, p Prediction) (Ahead, error) {
	var a Ahead
	err := ps.db.Requests.QueryRow(ctx, `
		SELECT predictions, uncounted, row_count, rows_per_second FROM prediction_ahead($1)`, p.InternalID).
		Scan(&a.Predictions, &a.Uncounted, &a.Rows, &a.RowsPerSecond)
	if err != nil {
		return Ahead{}, fmt.Errorf("count what is ahead: %w", err)
	}
	return a, nil
}
