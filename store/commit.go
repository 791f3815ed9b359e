package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/retainwise/millrace/store/objects"
)

// PartResult is what the ledger keeps of a scored part. Its objects must have been put before.
type PartResult struct {
	Scored, Rejected  int64
	Warnings, Summary json.RawMessage // merged by the last step; nil is none
	ResultBytes       int64           // 0: no object
	ResultETag        string
	RejectsBytes      int64
	RejectsETag       string
	SnapshotBytes     int64 // 0: no object
	// Digests of the objects; nil: not known, of the SHA-256 also without an object.
	ResultDigest, RejectsDigest, SnapshotDigest objects.Digest
	ResultSHA256, RejectsSHA256                 []byte
	// Training are tuples made by [tuple.TrainingEncoder], committed with the blocks; nil is none. It is not read back.
	Training []byte
}

// CommitPart stores a part's blocks and its ledger row in one transaction: afterwards either both are there or neither.
// blocks are tuples made by [tuple.BlockEncoder] for this prediction and are read only if the lease is good; nil is none.
//
// last is not nil if this commit left no part open: the caller then holds the claim of the last step, and must join the
// results and call [Ledger.Finish] with it. Exactly one worker gets it.
//
// After an error that hides the outcome (the connection broke in the middle of COMMIT) it may be called again with the
// same claim: what is done already is reported as done.
func (l *Ledger) CommitPart(ctx context.Context, c *Claim, r PartResult, blocks io.Reader) (last *Claim, err error) {
	if !c.Part.Planned || r.Scored+r.Rejected != c.Part.Rows {
		return nil, fmt.Errorf("commit part %d: %w: %d scored, %d rejected, %d rows",
			c.Part.No, ErrAccounting, r.Scored, r.Rejected, c.Part.Rows)
	}
	err = l.db.InTx(ctx, func(tx pgx.Tx) error {
		last, err = l.commitPart(ctx, tx, c, r, blocks)
		return err
	})
	if errors.Is(err, ErrLeaseLost) {
		last, err = l.committedBefore(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("commit part %d: %w", c.Part.No, err)
	}
	if last == nil { // else Finish follows
		announce(ctx, l.db, c.PredictionID)
	}
	return last, nil
}

func (l *Ledger) commitPart(ctx context.Context, tx pgx.Tx, c *Claim, r PartResult, blocks io.Reader) (*Claim, error) {
	if err := fence(ctx, tx, c); err != nil {
		return nil, err
	}
	if blocks != nil {
		if err := l.copyBlocks(ctx, tx, blocks); err != nil {
			return nil, err
		}
	}
	if len(r.Training) > 0 {
		if err := l.copyTraining(ctx, tx, r.Training); err != nil {
			return nil, err
		}
	}
	return closePart(ctx, tx, c, r)
}

// fence locks the part's row for a claim that still holds. FOR UPDATE makes a claim by another worker wait for this
// transaction; a weaker lock would let it through. Whose rows are about to be stored is read from the upload: no policy
// holds for a worker. Locks are taken in the order part, prediction, upload everywhere.
func fence(ctx context.Context, tx pgx.Tx, c *Claim) error {
	tag, err := tx.Exec(ctx, `
		SELECT FROM prediction_parts p
		JOIN predictions d ON d.id = p.prediction_id AND d.generation = p.generation AND d.status = 'running'
		WHERE p.prediction_id = $1 AND p.generation = $2 AND p.part_no = $3 AND p.epoch = $4 AND p.status = 'open'
		  AND EXISTS (SELECT FROM uploads u WHERE u.id = d.upload_id AND u.user_id = $5)
		FOR UPDATE OF p`, c.PredictionID, c.Generation, c.Part.No, c.Epoch, c.UserID)
	return requireRow(tag, err)
}

// closePart writes the ledger row. Locking the prediction puts the commits of its parts in a row, so that exactly one
// sees no part open; the count is a statement of its own to see what was committed while it waited for that lock.
func closePart(ctx context.Context, tx pgx.Tx, c *Claim, r PartResult) (*Claim, error) {
	var batch pgx.Batch
	batch.Queue(`
		UPDATE prediction_parts
		SET status = 'done', n_scored = $4, n_rejected = $5, warnings = $6, summary = $7, result_bytes = $8,
		    result_etag = $9, rejects_bytes = $10, rejects_etag = $11, snapshot_bytes = nullif($12::bigint, 0),
		    result_digest = $13, result_sha256 = $14, rejects_digest = $15, rejects_sha256 = $16, snapshot_digest = $17,
		    error = NULL, done_at = clock_timestamp()
		WHERE prediction_id = $1 AND generation = $2 AND part_no = $3`,
		c.PredictionID, c.Generation, c.Part.No, r.Scored, r.Rejected, r.Warnings, r.Summary, r.ResultBytes,
		r.ResultETag, r.RejectsBytes, r.RejectsETag, r.SnapshotBytes,
		[]byte(r.ResultDigest), r.ResultSHA256, []byte(r.RejectsDigest), r.RejectsSHA256, []byte(r.SnapshotDigest))
	batch.Queue(`SELECT FROM predictions WHERE id = $1 AND generation = $2 AND status = 'running' FOR NO KEY UPDATE`,
		c.PredictionID, c.Generation)
	batch.Queue(`
		UPDATE predictions d
		SET first_result_at = coalesce(first_result_at, clock_timestamp()),
		    finish_due = l.last, finish_epoch = finish_epoch + l.last::int, finish_attempts = l.last::int,
		    finish_worker = CASE WHEN l.last THEN $3 END,
		    finish_lease_until = clock_timestamp() + $4::bigint * interval '1 microsecond'
		FROM (SELECT NOT EXISTS (SELECT FROM prediction_parts
		          WHERE prediction_id = $1 AND generation = $2 AND status <> 'done') AS last) l
		WHERE d.id = $1 RETURNING finish_due, finish_epoch`,
		c.PredictionID, c.Generation, finisher(c), c.Lease.Microseconds())
	results := tx.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }()
	if _, err := results.Exec(); err != nil {
		return nil, err
	}
	if err := requireRow(results.Exec()); err != nil {
		return nil, err
	}
	var last bool
	var epoch int
	if err := results.QueryRow().Scan(&last, &epoch); err != nil {
		return nil, err
	}
	return finishClaim(c, last, epoch), results.Close()
}

// finisher names the attempt whose commit was the last, so that it is known again when it asks twice.
func finisher(c *Claim) string {
	return fmt.Sprintf("%s part %d epoch %d", c.Worker, c.Part.No, c.Epoch)
}

func finishClaim(c *Claim, last bool, epoch int) *Claim {
	if !last {
		return nil
	}
	f := *c
	f.Finish, f.Part, f.Epoch, f.Attempt, f.Deaths, f.Postponed, f.Refused = true, Part{}, epoch, 1, 0, 0, false
	return &f
}

// committedBefore answers for a claim that the fence refused: if this very attempt is in the ledger, its commit was
// done and only the acknowledgement got lost.
func (l *Ledger) committedBefore(ctx context.Context, c *Claim) (*Claim, error) {
	var last bool
	var epoch int
	err := l.db.Pool.QueryRow(ctx, `
		SELECT coalesce(d.finish_due AND d.finish_worker = $5, false), d.finish_epoch
		FROM prediction_parts p JOIN predictions d ON d.id = p.prediction_id
		WHERE p.prediction_id = $1 AND p.generation = $2 AND p.part_no = $3 AND p.epoch = $4 AND p.status = 'done'`,
		c.PredictionID, c.Generation, c.Part.No, c.Epoch, finisher(c)).Scan(&last, &epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrLeaseLost
	}
	if err != nil {
		return nil, err
	}
	return finishClaim(c, last, epoch), nil
}

const blockColumns = `prediction_id, first_row, n, row_offset, customer_id, customer_ids, probability, risk_bands,
	band_rows, result_bytes, row_starts`

func (l *Ledger) copyBlocks(ctx context.Context, tx pgx.Tx, tuples io.Reader) error {
	if err := l.db.CopyTuples(ctx, tx, "prediction_blocks", blockColumns, tuples); err != nil {
		return fmt.Errorf("copy blocks: %w", err)
	}
	return nil
}
