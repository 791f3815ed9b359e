package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// FailPart ends a claim that failed. After a permanent failure the prediction has failed; after the last attempt it is
// dead; else the part waits a while for another attempt, longer each time. It works for parts and for the last step.
func (l *Ledger) FailPart(ctx context.Context, c *Claim, f Failure) error {
	err := l.db.InTx(ctx, func(tx pgx.Tx) error {
		end := Status("")
		if c.Attempt >= l.config.AttemptsMax {
			end = Dead
		}
		if f.Permanent {
			end = Failed
		}
		if err := endClaim(ctx, tx, c, f, end, partBackoff(c.Attempt)); err != nil {
			return err
		}
		if err := recordFailure(ctx, tx, c, f); err != nil || end == "" {
			return err
		}
		return endPrediction(ctx, tx, c, f, end)
	})
	if err != nil {
		return fmt.Errorf("fail part: %w", err)
	}
	announce(ctx, l.db, c.PredictionID)
	return nil
}

// partBackoff is the backoff of a part after its nth failure.
func partBackoff(attempt int) time.Duration { return time.Second << min(attempt-1, 4) }

// endClaim voids the claim by raising the epoch.
func endClaim(ctx context.Context, tx pgx.Tx, c *Claim, f Failure, end Status, delay time.Duration) error {
	sql := `
		UPDATE prediction_parts p
		SET epoch = p.epoch + 1, worker = NULL, error = $5, status = CASE WHEN $6 THEN 'dead' ELSE 'open' END,
		    postponed_since = NULL, refused = false,
		    lease_until = clock_timestamp() + $7::bigint * interval '1 microsecond'
		FROM predictions d
		WHERE p.prediction_id = $1 AND p.generation = $2 AND p.part_no = $3 AND p.epoch = $4 AND p.status = 'open'
		  AND d.id = p.prediction_id AND d.generation = p.generation AND d.status = 'running'`
	if c.Finish {
		sql = `
		UPDATE predictions
		SET finish_epoch = finish_epoch + 1, finish_worker = NULL, error = $5, finish_due = NOT $6,
		    finish_postponed_since = NULL, finish_refused = false,
		    finish_lease_until = clock_timestamp() + $7::bigint * interval '1 microsecond'
		WHERE id = $1 AND generation = $2 AND $3 = 0 AND finish_epoch = $4 AND finish_due`
	}
	return requireRow(tx.Exec(ctx, sql, c.PredictionID, c.Generation, c.Part.No, c.Epoch, f, end != "", delay.Microseconds()))
}

func recordFailure(ctx context.Context, tx pgx.Tx, c *Claim, f Failure) error {
	var part *int
	if !c.Finish {
		part = &c.Part.No
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO prediction_failures (prediction_id, generation, part_no, attempt, worker, error)
		VALUES ($1, $2, $3, $4, $5, $6)`, c.PredictionID, c.Generation, part, c.Attempt, c.Worker, f)
	return err
}

// endPrediction ends a running prediction without a result. A cancelled one keeps its status.
func endPrediction(ctx context.Context, tx pgx.Tx, c *Claim, f Failure, status Status) error {
	_, err := tx.Exec(ctx, `
		UPDATE predictions
		SET status = $3, status_reason = NULL, error = $4, finish_due = false, finished_at = clock_timestamp(),
		    rejects_key = nullif($5, ''), rejects_bytes = CASE WHEN $5 = '' THEN rejects_bytes ELSE $6 END,
		    rejects_digest = $7, rejects_sha256 = $8
		WHERE id = $1 AND generation = $2 AND status = 'running'`,
		c.PredictionID, c.Generation, status, f, f.RejectsKey, f.RejectsBytes, []byte(f.RejectsDigest), f.RejectsSHA256)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE uploads u SET status = 'failed', updated_at = clock_timestamp()
		FROM predictions d WHERE d.id = $1 AND u.id = d.upload_id`, c.PredictionID)
	return err
}

// restartsMax is how often a prediction is scored from scratch by itself because objects of its parts are gone.
const restartsMax = 3

// Restart scores the prediction of a claim of the last step from scratch, as [Upkeep.Retry] does: what its parts left
// in the object store is gone. It is recorded as a failure; after the third the prediction has failed instead, and so
// has one that was cancelled meanwhile, of which nothing is left to join.
func (l *Ledger) Restart(ctx context.Context, c *Claim, f Failure) error {
	err := l.db.InTx(ctx, func(tx pgx.Tx) error {
		var running bool
		var restarts int
		err := tx.QueryRow(ctx, `
			SELECT status = 'running', (SELECT count(*) FROM prediction_failures
			    WHERE prediction_id = $1 AND part_no IS NULL AND error->>'code' = $4)
			FROM predictions WHERE id = $1 AND generation = $2 AND finish_epoch = $3 AND finish_due
			FOR NO KEY UPDATE`, c.PredictionID, c.Generation, c.Epoch, f.Code).Scan(&running, &restarts)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrLeaseLost
		}
		if err != nil {
			return err
		}
		if err := recordFailure(ctx, tx, c, f); err != nil {
			return err
		}
		if !running || restarts >= restartsMax {
			if err := endClaim(ctx, tx, c, f, Failed, 0); err != nil {
				return err
			}
			return endPrediction(ctx, tx, c, f, Failed)
		}
		if err := nextGeneration(ctx, tx, c.PredictionID, c.Generation); err != nil {
			return err
		}
		if err := requeueFromScratch(ctx, tx, c.PredictionID, Model{}); err != nil {
			return err
		}
		return ring(ctx, tx, c.PredictionID, c.PublicID)
	})
	if err != nil {
		return fmt.Errorf("restart: %w", err)
	}
	announce(ctx, l.db, c.PredictionID)
	return nil
}

// ReleasePart releases a lease at shutdown as if the claim had never been made. Another worker may claim the part at
// once.
func (l *Ledger) ReleasePart(ctx context.Context, c *Claim) error {
	return l.release(ctx, c, nil)
}

// Postponement is for how long and why a lease is released without counting an attempt.
type Postponement struct {
	Wait time.Duration
	// Reason is shown to the customer: "waiting for the storage to come back".
	Reason string
	// Refused is set if the object store answers and refused objects of this claim only, or gave them damaged.
	Refused bool
	// NoModel is set if the model cannot be had. The prediction counts as having started now, so that it does not become
	// overdue by waiting.
	NoModel bool
}

// PostponePart releases a lease for a while because a dependency is down or refused an object. The attempt is not
// counted. The next claim's Postponed is how long this has been so.
func (l *Ledger) PostponePart(ctx context.Context, c *Claim, p Postponement) error {
	return l.release(ctx, c, &p)
}

// stillWanted is the condition that prediction d is unfinished and part p open and of its generation: a late worker must
// not change parts of an older generation.
const stillWanted = `
		  AND p.status = 'open'
		  AND d.id = p.prediction_id AND d.generation = p.generation AND d.status IN ('queued', 'running')`

// release voids a claim, also one that is only reserved: it has no worker, and its attempt is not counted yet. A postponement begins anew when its reason is another one than before; nil leaves it.
func (l *Ledger) release(ctx context.Context, c *Claim, postponed *Postponement) error {
	var p Postponement
	if postponed != nil {
		p = *postponed
	}
	err := l.db.InTx(ctx, func(tx pgx.Tx) error {
		if c.Finish {
			return requireRow(tx.Exec(ctx, `
				UPDATE predictions
				SET finish_epoch = finish_epoch + 1, finish_worker = NULL,
				    finish_attempts = finish_attempts - (finish_worker IS NOT NULL)::int,
				    finish_lease_until = clock_timestamp() + $4::bigint * interval '1 microsecond',
				    status_reason = nullif($5, ''),
				    finish_postponed_since = CASE WHEN NOT $6 THEN finish_postponed_since
				        WHEN finish_refused = $7 THEN coalesce(finish_postponed_since, clock_timestamp())
				        ELSE clock_timestamp() END,
				    finish_refused = CASE WHEN $6 THEN $7 ELSE finish_refused END,
				    started_at = CASE WHEN $8 THEN clock_timestamp() ELSE started_at END
				WHERE id = $1 AND generation = $2 AND finish_epoch = $3 AND finish_due`,
				c.PredictionID, c.Generation, c.Epoch, p.Wait.Microseconds(), p.Reason, postponed != nil, p.Refused, p.NoModel))
		}
		err := requireRow(tx.Exec(ctx, `
			UPDATE prediction_parts p
			SET epoch = p.epoch + 1, attempts = p.attempts - (p.worker IS NOT NULL)::int, worker = NULL,
			    lease_until = clock_timestamp() + $5::bigint * interval '1 microsecond',
			    postponed_since = CASE WHEN NOT $6 THEN p.postponed_since
			        WHEN p.refused = $7 THEN coalesce(p.postponed_since, clock_timestamp())
			        ELSE clock_timestamp() END,
			    refused = CASE WHEN $6 THEN $7 ELSE p.refused END
			FROM predictions d
			WHERE p.prediction_id = $1 AND p.generation = $2 AND p.part_no = $3 AND p.epoch = $4`+stillWanted,
			c.PredictionID, c.Generation, c.Part.No, c.Epoch, p.Wait.Microseconds(), postponed != nil, p.Refused))
		if err != nil {
			return err
		}
		return requeue(ctx, tx, c, p)
	})
	if err != nil {
		return fmt.Errorf("give part back: %w", err)
	}
	announce(ctx, l.db, c.PredictionID)
	return nil
}

// requeue sets a prediction back to queued if no worker has a part of it and none is done, and notifies workers. In an
// outage, when workers release and claim all the time, it stays running if another part can be claimed: a concurrent
// claim is invisible here, does not see the change, and its commit would be fenced off.
func requeue(ctx context.Context, tx pgx.Tx, c *Claim, p Postponement) error {
	_, err := tx.Exec(ctx, `
		UPDATE predictions d
		SET status_reason = nullif($3, ''),
		    started_at = CASE WHEN $6 THEN clock_timestamp() ELSE started_at END,
		    status = CASE WHEN EXISTS (SELECT FROM prediction_parts p
		        WHERE p.prediction_id = d.id AND p.generation = d.generation
		          AND (p.status = 'done' OR p.worker IS NOT NULL OR $5 AND p.part_no <> $4 AND p.status = 'open'
		               AND p.lease_until < clock_timestamp() + interval '1 second')) THEN 'running' ELSE 'queued' END
		WHERE id = $1 AND generation = $2 AND status = 'running'`,
		c.PredictionID, c.Generation, p.Reason, c.Part.No, p.Wait > 0, p.NoModel)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SELECT pg_notify($1, '')`, doorbell)
	return err
}
