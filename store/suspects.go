package store

import (
	"context"
	"fmt"
)

// reserveSuspectPart reserves the next suspect in turn whose pause is over. It has no worker until [Ledger.Begin].
const reserveSuspectPart = `
	WITH next AS (
	    SELECT p.prediction_id, p.generation, p.part_no FROM prediction_parts p
	    WHERE p.status = 'open' AND p.deaths > 0 AND p.deaths < $1 AND p.worker IS NULL
	      AND p.lease_until <= clock_timestamp()
	      AND (SELECT d.status IN ('queued', 'running') FROM predictions d
	           WHERE d.id = p.prediction_id AND d.generation = p.generation)
	    ORDER BY p.turn, p.prediction_id, p.part_no LIMIT 1
	    FOR UPDATE OF p SKIP LOCKED
	), c AS (
	    UPDATE prediction_parts p
	    SET epoch = p.epoch + 1, lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
	    FROM next n
	    WHERE p.prediction_id = n.prediction_id AND p.generation = n.generation AND p.part_no = n.part_no
	    RETURNING p.*, '` + outcomeClaimed + `' AS outcome
	)` + selectClaim

// reserveSuspectFinish is reserveSuspectPart for the last step of a prediction.
const reserveSuspectFinish = `
	WITH next AS (
	    SELECT d.id FROM predictions d
	    WHERE d.finish_due AND d.finish_deaths > 0 AND d.finish_deaths < $1 AND d.finish_worker IS NULL
	      AND d.finish_lease_until <= clock_timestamp()
	    ORDER BY d.id LIMIT 1
	    FOR UPDATE SKIP LOCKED
	), c AS (
	    UPDATE predictions d
	    SET finish_epoch = d.finish_epoch + 1,
	        finish_lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
	    FROM next n WHERE d.id = n.id
	    RETURNING '` + outcomeClaimed + `' AS outcome, ` + finishColumns + `
	)` + selectClaim

// ReserveSuspect reserves a part or a last step whose worker process vanished while it held it. Nobody else may claim it
// for a lease, but nobody holds it either: the process first ends what else it holds, then calls [Ledger.Begin] and works
// on it alone. A reservation that is not begun expires without a trace. It returns nil, nil if no suspect is due.
func (l *Ledger) ReserveSuspect(ctx context.Context, worker string) (*Claim, error) {
	lease := l.config.Lease.Microseconds()
	c, err := l.claim(ctx, reserveSuspectFinish, deathsMax, lease)
	if c != nil {
		c.Finish = true
	}
	if c == nil && err == nil {
		c, err = l.claimPlanned(ctx, reserveSuspectPart, deathsMax, lease)
	}
	if err != nil {
		return nil, fmt.Errorf("reserve suspect: %w", err)
	}
	if c != nil {
		c.Attempt++ // counted by Begin
		c.Worker = worker
	}
	return c, nil
}

// Begin makes a reservation a claim and counts the attempt. From here on a death of the process is this claim's. After
// any error the caller must not work on it; unless it is [ErrLeaseLost], it must release it, as it may have begun.
func (l *Ledger) Begin(ctx context.Context, c *Claim) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	sql := `
		WITH p AS (
		    UPDATE prediction_parts p
		    SET worker = $5, attempts = p.attempts + 1,
		        lease_until = clock_timestamp() + $6::bigint * interval '1 microsecond'
		    FROM predictions d
		    WHERE p.prediction_id = $1 AND p.generation = $2 AND p.part_no = $3 AND p.epoch = $4 AND p.worker IS NULL` +
		stillWanted + `
		    RETURNING d.id, d.upload_id
		), u AS (
		    UPDATE uploads u SET status = 'processing', updated_at = clock_timestamp()
		    FROM p WHERE u.id = p.upload_id AND u.status = 'pending'
		)
		UPDATE predictions d
		SET status = 'running', status_reason = NULL, started_at = coalesce(d.started_at, clock_timestamp())
		FROM p WHERE d.id = p.id AND d.generation = $2 AND d.status IN ('queued', 'running')` // as it is when it is locked
	if c.Finish {
		sql = `
		UPDATE predictions
		SET finish_worker = $5, finish_attempts = finish_attempts + 1, status_reason = NULL,
		    finish_lease_until = clock_timestamp() + $6::bigint * interval '1 microsecond'
		WHERE id = $1 AND generation = $2 AND $3 = 0 AND finish_epoch = $4 AND finish_worker IS NULL AND finish_due`
	}
	tag, err := l.db.Pool.Exec(ctx, sql, c.PredictionID, c.Generation, c.Part.No, c.Epoch, c.Worker, c.Lease.Microseconds())
	if err := requireRow(tag, err); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

// Acquit takes back the death that was counted when the claim's lease expired: its worker was paused or cut off, and has
// returned. It does nothing if the part has ended meanwhile.
func (l *Ledger) Acquit(ctx context.Context, c *Claim) error {
	sql := `
		WITH p AS (
		    UPDATE prediction_parts p SET deaths = p.deaths - 1
		    FROM predictions d
		    WHERE p.prediction_id = $1 AND p.generation = $2 AND p.part_no = $3 AND p.epoch > $4 AND p.deaths > 0` +
		stillWanted + `
		    RETURNING p.prediction_id
		)
		UPDATE predictions d SET status_reason = NULL FROM p WHERE d.id = p.prediction_id AND d.status_reason = $5`
	if c.Finish {
		sql = `
		UPDATE predictions
		SET finish_deaths = finish_deaths - 1, status_reason = nullif(status_reason, $5)
		WHERE id = $1 AND generation = $2 AND $3 = 0 AND finish_epoch > $4 AND finish_due AND finish_deaths > 0`
	}
	_, err := l.db.Pool.Exec(ctx, sql, c.PredictionID, c.Generation, c.Part.No, c.Epoch, suspectReason)
	if err != nil {
		return fmt.Errorf("acquit: %w", err)
	}
	return nil
}
