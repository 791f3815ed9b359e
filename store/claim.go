package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/internal/database"
)

// Ledger is the work on predictions: workers claim parts, renew their leases, commit, fail, return or postpone what they
// claimed, and finish a prediction whose parts are done. Every write names the epoch of its claim.
type Ledger struct {
	db     *database.DB
	config Config
}

// Claim is one attempt at a part, or at the last step of a prediction. It belongs to one worker and is good until its
// lease runs out. It is never changed after it was made, so it may be read from several goroutines.
type Claim struct {
	PredictionID int64 // internal, for NewBlockEncoder
	PublicID     uuid.UUID
	UploadID     uuid.UUID
	UserID       int64
	Dataset      string // label of the series that the upload belongs to
	Generation   int

	Finish bool // the last step: join the parts' results and call Finish
	Part   Part // meaningless if Finish
	Epoch  int
	// Attempt is 1 for the first. It was counted when the claim was made, so that a worker that dies is counted too.
	Attempt int
	Worker  string
	Lease   time.Duration // from the claim or the last renewal on
	Small   bool          // of a small file, whose user waits for it
	// Postponed is for how long it has been given back for one and the same reason, without an attempt; zero: it was not.
	Postponed time.Duration
	Refused   bool // the reason: the object store refused its own objects

	ObjectKey  string // the input
	ObjectETag string // pins every read of it; may be empty
	Bytes      int64
	Header     Header // zero until planned
	Model      Model  // zero until chosen
	Explain    string
	Options    json.RawMessage
}

const selectClaim = `
	SELECT d.id, d.public_id, u.public_id, d.user_id, d.dataset, d.generation,
	       part_no, byte_length IS NOT NULL, byte_offset, coalesce(byte_length, 0), first_row, first_line,
	       coalesce(n_rows, 0), c.epoch, c.attempts, c.worker, spent,
	       u.object_key, u.object_etag, coalesce(u.bytes, 0),
	       u.columns, coalesce(u.delimiter, ''), coalesce(u.header_bytes, 0), coalesce(u.header_lines, 0),
	       coalesce(d.model_name, ''), coalesce(d.model_version, ''), coalesce(d.model_sha256, ''),
	       coalesce(d.engine_version, ''), d.explain, d.options, d.small,
	       coalesce(extract(epoch FROM clock_timestamp() - c.postponed_since), 0)::float8, c.refused
	FROM c JOIN predictions d ON d.id = c.prediction_id JOIN uploads u ON u.id = d.upload_id`

// claimPart claims the next unleased part in turn: large ones first, or ($5) small ones only. A part whose lease expired
// on its last attempt becomes dead instead, with its prediction: this ends a file that crashes its workers.
//
// The prediction's status is asked for by a subquery, which cannot become a join: a join may sort all that waits.
//
// The lane's clock moves on with the claim. Two claims at the same time may set it back by the width of their places,
// which gives a newcomer no more than that.
const claimPart = `
	WITH next AS (
	    SELECT p.prediction_id, p.generation, p.part_no, p.attempts >= $2 AS spent
	    FROM prediction_parts p
	    WHERE p.status = 'open' AND p.small >= $5 AND p.lease_until <= clock_timestamp()
	      AND (SELECT d.status IN ('queued', 'running') FROM predictions d
	           WHERE d.id = p.prediction_id AND d.generation = p.generation)
	    ORDER BY p.small, p.turn, p.prediction_id, p.part_no LIMIT 1
	    FOR UPDATE OF p SKIP LOCKED
	), c AS (
	    UPDATE prediction_parts p
	    SET epoch = p.epoch + 1,
	        attempts = CASE WHEN n.spent THEN p.attempts ELSE p.attempts + 1 END,
	        status = CASE WHEN n.spent THEN 'dead' ELSE 'open' END,
	        lease_until = clock_timestamp() + $3::bigint * interval '1 microsecond',
	        worker = CASE WHEN n.spent THEN p.worker ELSE $1 END
	    FROM next n
	    WHERE p.prediction_id = n.prediction_id AND p.generation = n.generation AND p.part_no = n.part_no
	    RETURNING p.*, n.spent, CASE WHEN p.small
	        THEN setval('small_turns', greatest(p.turn, (SELECT last_value FROM small_turns)))
	        ELSE setval('large_turns', greatest(p.turn, (SELECT last_value FROM large_turns))) END
	), d AS (
	    UPDATE predictions d
	    SET status = CASE WHEN c.spent THEN 'dead' ELSE 'running' END,
	        status_reason = NULL,
	        started_at = coalesce(d.started_at, clock_timestamp()),
	        finished_at = CASE WHEN c.spent THEN clock_timestamp() END,
	        error = CASE WHEN c.spent THEN coalesce(c.error, $4::jsonb) END
	    FROM c
	    WHERE d.id = c.prediction_id AND d.generation = c.generation
	      AND (d.status = 'queued' OR d.status = 'running' AND c.spent)
	    RETURNING d.upload_id, c.spent
	), u AS (
	    UPDATE uploads u
	    SET status = CASE WHEN d.spent THEN 'failed' ELSE 'processing' END, updated_at = clock_timestamp()
	    FROM d WHERE u.id = d.upload_id
	), f AS (
	    INSERT INTO prediction_failures (prediction_id, generation, part_no, attempt, worker, error)
	    SELECT prediction_id, generation, part_no, attempts, worker, $4::jsonb FROM c WHERE spent
	)` + selectClaim

// claimFinish claims the oldest last step that is due and not leased.
const claimFinish = `
	WITH next AS (
	    SELECT id, finish_attempts >= $2 AS spent FROM predictions
	    WHERE finish_due AND finish_lease_until <= clock_timestamp()
	    ORDER BY id LIMIT 1
	    FOR UPDATE SKIP LOCKED
	), c AS (
	    UPDATE predictions d
	    SET finish_epoch = d.finish_epoch + 1,
	        finish_attempts = CASE WHEN n.spent THEN d.finish_attempts ELSE d.finish_attempts + 1 END,
	        finish_due = NOT n.spent,
	        finish_lease_until = clock_timestamp() + $3::bigint * interval '1 microsecond',
	        finish_worker = CASE WHEN n.spent THEN d.finish_worker ELSE $1 END,
	        status = CASE WHEN n.spent AND d.status = 'running' THEN 'dead' ELSE d.status END,
	        finished_at = CASE WHEN n.spent THEN clock_timestamp() ELSE d.finished_at END,
	        error = CASE WHEN n.spent THEN coalesce(d.error, $4::jsonb) ELSE d.error END
	    FROM next n WHERE d.id = n.id
	    RETURNING d.id AS prediction_id, d.generation, d.upload_id, d.finish_epoch AS epoch,
	        d.finish_attempts AS attempts, d.finish_worker AS worker, n.spent,
	        d.finish_postponed_since AS postponed_since, d.finish_refused AS refused,
	        0 AS part_no, NULL::bigint AS byte_length, 0::bigint AS byte_offset, 0::bigint AS first_row,
	        0::bigint AS first_line, NULL::bigint AS n_rows
	), u AS (
	    UPDATE uploads u SET status = 'failed', updated_at = clock_timestamp()
	    FROM c WHERE u.id = c.upload_id AND c.spent
	), f AS (
	    INSERT INTO prediction_failures (prediction_id, generation, attempt, worker, error)
	    SELECT prediction_id, generation, attempts, worker, $4::jsonb FROM c WHERE spent
	)` + selectClaim

// ClaimPart takes the part whose turn it is, for a prediction that is queued or running, and counts the attempt. Users
// take turns by bytes, and parts of large files go first: small ones have [Ledger.ClaimSmallPart] beside it.
// It answers nil, nil if there is nothing to do.
func (l *Ledger) ClaimPart(ctx context.Context, worker string) (*Claim, error) {
	return l.claimAnyPart(ctx, worker, false)
}

// ClaimSmallPart is ClaimPart for small files only. A worker that keeps a place for them never lets one wait for the
// part of a large file.
func (l *Ledger) ClaimSmallPart(ctx context.Context, worker string) (*Claim, error) {
	return l.claimAnyPart(ctx, worker, true)
}

func (l *Ledger) claimAnyPart(ctx context.Context, worker string, smallOnly bool) (*Claim, error) {
	c, err := l.claim(ctx, claimPart, worker, smallOnly)
	for tries := 0; err == nil && c.planIsStale() && tries < staleMax; tries++ { // also the one in its place may be
		if err = l.releaseStale(ctx, c); err == nil {
			c, err = l.claim(ctx, claimPart, worker, smallOnly)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("claim part: %w", err)
	}
	if c != nil {
		announce(ctx, l.db, c.PredictionID)
	}
	return c, nil
}

// staleMax bounds the claims in a row that are released. A plan that still looks stale then is stored like that.
const staleMax = 10

// planIsStale reports whether the claim has the part as planned but the upload as before the plan, which was committed
// while the statement ran: a locked row is read in its newest version, the rows joined to it as of the statement's start.
// False for a nil claim.
func (c *Claim) planIsStale() bool { return c != nil && c.Part.Planned && len(c.Header.Columns) == 0 }

func (l *Ledger) releaseStale(ctx context.Context, c *Claim) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	return l.ReleasePart(ctx, c)
}

// ClaimFinish claims the last step of a prediction whose parts are done or whose run was cancelled, but whose results
// have not been joined: its worker died, or the user cancelled. It returns nil, nil if there is nothing to do.
func (l *Ledger) ClaimFinish(ctx context.Context, worker string) (*Claim, error) {
	c, err := l.claim(ctx, claimFinish, worker)
	if err != nil {
		return nil, fmt.Errorf("claim finish: %w", err)
	}
	if c != nil {
		c.Finish = true
	}
	return c, nil
}

// claimTimeout bounds a claim whose context has ended.
const claimTimeout = 5 * time.Second

// claim runs one of the two statements until it gives a claim or finds no expired part to end. The end of ctx does not
// stop a statement that has been sent: it could commit unseen, and its part would stay leased until the lease expires.
func (l *Ledger) claim(ctx context.Context, sql, worker string, more ...any) (*Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	vanished := Failure{Stage: "lease", Message: "the worker stopped in the middle, on every attempt"}
	for {
		args := append([]any{worker, l.config.AttemptsMax, l.config.Lease.Microseconds(), vanished}, more...)
		rows, err := l.db.Pool.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		var spent bool
		c, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (*Claim, error) {
			return l.scanClaim(row, &spent)
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		if err != nil || !spent {
			return c, err
		}
	}
}

func (l *Ledger) scanClaim(row pgx.CollectableRow, spent *bool) (*Claim, error) {
	c := &Claim{Lease: l.config.Lease}
	var delimiter string
	var postponed float64
	err := row.Scan(&c.PredictionID, &c.PublicID, &c.UploadID, &c.UserID, &c.Dataset, &c.Generation,
		&c.Part.No, &c.Part.Planned, &c.Part.Offset, &c.Part.Bytes, &c.Part.FirstRow, &c.Part.FirstLine,
		&c.Part.Rows, &c.Epoch, &c.Attempt, &c.Worker, spent,
		&c.ObjectKey, &c.ObjectETag, &c.Bytes,
		&c.Header.Columns, &delimiter, &c.Header.Bytes, &c.Header.Lines,
		&c.Model.Name, &c.Model.Version, &c.Model.SHA256,
		&c.Model.Engine, &c.Explain, &c.Options, &c.Small, &postponed, &c.Refused)
	c.Postponed = time.Duration(postponed * float64(time.Second))
	if delimiter != "" {
		c.Header.Delimiter = delimiter[0]
	}
	return c, err
}

// RenewLease extends a claim by another lease from now on. After [ErrLeaseLost] the worker must stop.
func (l *Ledger) RenewLease(ctx context.Context, c *Claim) error {
	sql := `
		UPDATE prediction_parts p SET lease_until = clock_timestamp() + $5::bigint * interval '1 microsecond'
		FROM predictions d
		WHERE p.prediction_id = $1 AND p.generation = $2 AND p.part_no = $3 AND p.epoch = $4 AND p.status = 'open'
		  AND d.id = p.prediction_id AND d.generation = p.generation AND d.status = 'running'`
	if c.Finish {
		sql = `
		UPDATE predictions SET finish_lease_until = clock_timestamp() + $5::bigint * interval '1 microsecond'
		WHERE id = $1 AND generation = $2 AND $3 = 0 AND finish_epoch = $4 AND finish_due`
	}
	tag, err := l.db.Pool.Exec(ctx, sql, c.PredictionID, c.Generation, c.Part.No, c.Epoch, c.Lease.Microseconds())
	if err := requireRow(tag, err); err != nil {
		return fmt.Errorf("renew lease: %w", err)
	}
	return nil
}
