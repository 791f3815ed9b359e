package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
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
	deaths atomic.Int64
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
	// Attempt is 1 for the first. Claims whose worker vanished are not counted.
	Attempt int
	// Deaths is how often a worker process vanished with it. If it is not 0, the part is a suspect: it may run only while
	// its process holds nothing else, see [Ledger.ReserveSuspect].
	Deaths int
	Worker string
	Lease  time.Duration // from the claim or the last renewal on
	Small  bool          // of a small file, whose user waits for it
	// Postponed is for how long it has been given back for one and the same reason, without an attempt; zero: it was not.
	Postponed time.Duration
	Refused   bool // the reason: the object store refused its own objects, or they are damaged

	ObjectKey  string // the input
	ObjectETag string // pins every read of it; may be empty
	// ObjectVersion names the version to read; empty: the newest.
	ObjectVersion string
	Bytes         int64
	Header        Header // zero until planned
	Model         Model  // zero until chosen
	Explain       string
	Options       json.RawMessage
}

const selectClaim = `
	SELECT d.id, d.public_id, u.public_id, d.user_id, d.dataset, d.generation,
	       part_no, byte_length IS NOT NULL, byte_offset, coalesce(byte_length, 0), first_row, first_line,
	       coalesce(n_rows, 0), c.epoch, c.attempts, c.deaths, coalesce(c.worker, ''), outcome,
	       u.object_key, u.object_etag, u.object_version, coalesce(u.bytes, 0),
	       u.columns, coalesce(u.delimiter, ''), coalesce(u.header_bytes, 0), coalesce(u.header_lines, 0),
	       coalesce(d.model_name, ''), coalesce(d.model_version, ''), coalesce(d.model_sha256, ''),
	       coalesce(d.engine_version, ''), d.explain, d.options, d.small,
	       coalesce(extract(epoch FROM clock_timestamp() - c.postponed_since), 0)::float8, c.refused, c.input_digest
	FROM c JOIN predictions d ON d.id = c.prediction_id JOIN uploads u ON u.id = d.upload_id`

// Outcomes of a claim's statement. Only the first is a claim; after the others the statement is run again.
const (
	outcomeClaimed  = "claimed"
	outcomeVanished = "vanished" // its worker did not return it: it costs no attempt, and the part is a suspect
	outcomeDeadly   = "deadly"   // a suspect that ended its process twice while it ran alone: its prediction is dead
)

// deathsMax is the number of deaths that make a prediction dead: one in company, two alone.
const deathsMax = 3

// pauseAfterDeath is how long a suspect waits before it runs alone, by its deaths n.deaths before this one: a fraction of
// a lease after the first, after the second one to two leases, in which a worker that was only paused or cut off can return
// and call [Ledger.Acquit], and four to eight before its prediction is dead, which nothing takes back. $3 is the lease.
const pauseAfterDeath = `(1 + random()) * CASE n.deaths WHEN 0 THEN 0.1 WHEN 1 THEN 1 ELSE 4 END`

// claimPart claims the next unleased part in turn that is no suspect: large ones first, or ($5) small ones only.
//
// A part whose worker vanished becomes a suspect instead, without an attempt. One that has run out of deaths becomes dead
// instead, with its prediction, but not before its pause is over.
//
// The prediction's status is asked for by a subquery, which cannot become a join: a join may sort all that waits.
//
// The lane's clock moves on with the claim. Two claims at the same time may set it back by the width of their places,
// which gives a newcomer no more than that.
const claimPart = `
	WITH next AS (
	    SELECT p.prediction_id, p.generation, p.part_no, p.deaths, p.attempts, p.worker,
	           CASE WHEN p.worker IS NOT NULL THEN 'vanished' WHEN p.deaths >= $2 THEN 'deadly' ELSE 'claimed' END AS outcome
	    FROM prediction_parts p
	    WHERE p.status = 'open' AND p.small >= $5 AND p.lease_until <= clock_timestamp()
	      AND (p.deaths = 0 OR p.deaths >= $2 OR p.worker IS NOT NULL)
	      AND (SELECT d.status IN ('queued', 'running') FROM predictions d
	           WHERE d.id = p.prediction_id AND d.generation = p.generation)
	    ORDER BY p.small, p.turn, p.prediction_id, p.part_no LIMIT 1
	    FOR UPDATE OF p SKIP LOCKED
	), c AS (
	    UPDATE prediction_parts p
	    SET epoch = p.epoch + 1,
	        attempts = greatest(0, p.attempts + CASE n.outcome WHEN 'claimed' THEN 1 WHEN 'vanished' THEN -1 ELSE 0 END),
	        deaths = p.deaths + (n.outcome = 'vanished')::int,
	        status = CASE n.outcome WHEN 'deadly' THEN 'dead' ELSE 'open' END,
	        lease_until = clock_timestamp() + $3::bigint * interval '1 microsecond' *
	            CASE n.outcome WHEN 'vanished' THEN ` + pauseAfterDeath + ` ELSE 1 END,
	        worker = CASE n.outcome WHEN 'claimed' THEN $1 END
	    FROM next n
	    WHERE p.prediction_id = n.prediction_id AND p.generation = n.generation AND p.part_no = n.part_no
	    RETURNING p.*, n.outcome, CASE WHEN p.small
	        THEN setval('small_turns', greatest(p.turn, (SELECT last_value FROM small_turns)))
	        ELSE setval('large_turns', greatest(p.turn, (SELECT last_value FROM large_turns))) END
	), d AS (
	    UPDATE predictions d
	    SET status = CASE c.outcome WHEN 'deadly' THEN 'dead' ELSE 'running' END,
	        status_reason = CASE c.outcome WHEN 'vanished' THEN '` + suspectReason + `' END,
	        started_at = coalesce(d.started_at, clock_timestamp()),
	        finished_at = CASE c.outcome WHEN 'deadly' THEN clock_timestamp() END,
	        error = CASE c.outcome WHEN 'deadly' THEN $4::jsonb END
	    FROM c
	    WHERE d.id = c.prediction_id AND d.generation = c.generation
	      AND (d.status = 'queued' OR d.status = 'running' AND c.outcome <> 'claimed')
	    RETURNING d.upload_id, c.outcome
	), u AS (
	    UPDATE uploads u
	    SET status = CASE d.outcome WHEN 'deadly' THEN 'failed' ELSE 'processing' END, updated_at = clock_timestamp()
	    FROM d WHERE u.id = d.upload_id
	), f AS (
	    INSERT INTO prediction_failures (prediction_id, generation, part_no, attempt, worker, error)
	    SELECT prediction_id, generation, part_no, attempts, worker, ` + deathRecord + ` FROM next n
	    WHERE outcome = 'vanished'
	)` + selectClaim

// suspectReason is the status_reason of a prediction with a suspect that waits.
const suspectReason = "waiting to be scored alone: the worker process that scored this file ended"

// deathRecord is what the list of failed attempts says of a death.
const deathRecord = `jsonb_build_object('stage', 'lease', 'message', 'the worker process ended, was paused or cut off ' ||
	        CASE n.deaths WHEN 0 THEN 'while it held this and perhaps others' ELSE 'while it held this alone' END)`

// claimFinish claims the oldest last step that is due, not leased and no suspect. It ends others like claimPart.
const claimFinish = `
	WITH next AS (
	    SELECT d.id, d.generation, d.finish_deaths AS deaths, d.finish_attempts AS attempts, d.finish_worker AS worker,
	           CASE WHEN d.finish_worker IS NOT NULL THEN 'vanished' WHEN d.finish_deaths >= $2 THEN 'deadly'
	                ELSE 'claimed' END AS outcome
	    FROM predictions d
	    WHERE d.finish_due AND d.finish_lease_until <= clock_timestamp()
	      AND (d.finish_deaths = 0 OR d.finish_deaths >= $2 OR d.finish_worker IS NOT NULL)
	    ORDER BY d.id LIMIT 1
	    FOR UPDATE SKIP LOCKED
	), c AS (
	    UPDATE predictions d
	    SET finish_epoch = d.finish_epoch + 1,
	        finish_attempts = greatest(0,
	            d.finish_attempts + CASE n.outcome WHEN 'claimed' THEN 1 WHEN 'vanished' THEN -1 ELSE 0 END),
	        finish_deaths = d.finish_deaths + (n.outcome = 'vanished')::int,
	        finish_due = n.outcome <> 'deadly',
	        finish_lease_until = clock_timestamp() + $3::bigint * interval '1 microsecond' *
	            CASE n.outcome WHEN 'vanished' THEN ` + pauseAfterDeath + ` ELSE 1 END,
	        finish_worker = CASE n.outcome WHEN 'claimed' THEN $1 END,
	        status = CASE WHEN n.outcome = 'deadly' AND d.status = 'running' THEN 'dead' ELSE d.status END,
	        status_reason = CASE WHEN d.status = 'running' AND n.outcome = 'vanished' THEN '` + suspectReason + `'
	                             WHEN n.outcome <> 'deadly' THEN d.status_reason END,
	        finished_at = CASE n.outcome WHEN 'deadly' THEN clock_timestamp() ELSE d.finished_at END,
	        error = CASE n.outcome WHEN 'deadly' THEN $4::jsonb ELSE d.error END
	    FROM next n WHERE d.id = n.id
	    RETURNING d.upload_id, n.outcome, ` + finishColumns + `
	), u AS (
	    UPDATE uploads u SET status = 'failed', updated_at = clock_timestamp()
	    FROM c WHERE u.id = c.upload_id AND c.outcome = 'deadly'
	), f AS (
	    INSERT INTO prediction_failures (prediction_id, generation, attempt, worker, error)
	    SELECT id, generation, attempts, worker, ` + deathRecord + ` FROM next n WHERE outcome = 'vanished'
	)` + selectClaim

// finishColumns are the columns of a last step d that selectClaim reads of a part.
const finishColumns = `d.id AS prediction_id, d.generation, d.finish_epoch AS epoch, d.finish_attempts AS attempts,
	        d.finish_deaths AS deaths, d.finish_worker AS worker, d.finish_postponed_since AS postponed_since,
	        d.finish_refused AS refused, 0 AS part_no, NULL::bigint AS byte_length, 0::bigint AS byte_offset,
	        0::bigint AS first_row, 0::bigint AS first_line, NULL::bigint AS n_rows,
	        NULL::bytea AS input_digest`

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
	c, err := l.claimPlanned(ctx, claimPart, append(l.claimArgs(worker), smallOnly)...)
	if err != nil {
		return nil, fmt.Errorf("claim part: %w", err)
	}
	if c != nil {
		announce(ctx, l.db, c.PredictionID)
	}
	return c, nil
}

// claimArgs are $1 to $4 of claimPart and claimFinish.
func (l *Ledger) claimArgs(worker string) []any {
	return []any{worker, deathsMax, l.config.Lease.Microseconds(), l.config.Deadly}
}

// claimPlanned is claim, again until what it returns is not stale.
func (l *Ledger) claimPlanned(ctx context.Context, sql string, args ...any) (*Claim, error) {
	c, err := l.claim(ctx, sql, args...)
	for tries := 0; err == nil && c.planIsStale() && tries < staleMax; tries++ { // also the one in its place may be
		if err = l.releaseStale(ctx, c); err == nil {
			c, err = l.claim(ctx, sql, args...)
		}
	}
	return c, err
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
	c, err := l.claim(ctx, claimFinish, l.claimArgs(worker)...)
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

// claim runs one of the statements until it returns a claim or finds nothing. The end of ctx does not stop a statement
// that has been sent: it could commit unseen, and its part would stay leased until the lease expires.
func (l *Ledger) claim(ctx context.Context, sql string, args ...any) (*Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	for {
		rows, err := l.db.Pool.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		var outcome string
		c, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (*Claim, error) {
			return l.scanClaim(row, &outcome)
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		if err != nil || outcome == outcomeClaimed {
			return c, err
		}
		if outcome == outcomeVanished {
			l.deaths.Add(1)
			if err := l.notify(ctx); err != nil { // workers look again for when the next is due
				return nil, err
			}
		}
	}
}

func (l *Ledger) notify(ctx context.Context) error {
	_, err := l.db.Pool.Exec(ctx, `SELECT pg_notify($1, '')`, doorbell)
	return err
}

// Deaths returns how many claims this process has found whose worker vanished: it ended, was paused or cut off.
func (l *Ledger) Deaths() int64 { return l.deaths.Load() }

func (l *Ledger) scanClaim(row pgx.CollectableRow, outcome *string) (*Claim, error) {
	c := &Claim{Lease: l.config.Lease}
	var delimiter string
	var postponed float64
	err := row.Scan(&c.PredictionID, &c.PublicID, &c.UploadID, &c.UserID, &c.Dataset, &c.Generation,
		&c.Part.No, &c.Part.Planned, &c.Part.Offset, &c.Part.Bytes, &c.Part.FirstRow, &c.Part.FirstLine,
		&c.Part.Rows, &c.Epoch, &c.Attempt, &c.Deaths, &c.Worker, outcome,
		&c.ObjectKey, &c.ObjectETag, &c.ObjectVersion, &c.Bytes,
		&c.Header.Columns, &delimiter, &c.Header.Bytes, &c.Header.Lines,
		&c.Model.Name, &c.Model.Version, &c.Model.SHA256,
		&c.Model.Engine, &c.Explain, &c.Options, &c.Small, &postponed, &c.Refused,
		(*[]byte)(&c.Part.Digest))
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
