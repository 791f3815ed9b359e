package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/objects"
)

// Deletion deletes a prediction's rows in one transaction, which also records which files are to be removed: no reader
// sees half of it, and workers that score it lose their leases. Files are removed by a sweep that can be interrupted
// anywhere.

// ErrAccountDeleted means that the user has deleted their account.
var ErrAccountDeleted = errors.New("the account has been deleted")

// deletionTarget is a prediction that is to be deleted, or whose files are.
type deletionTarget struct {
	id, uploadID       int64
	publicID, publicUp uuid.UUID
	userID             int64
	sourceKey          *string
	sourceStamp        *string // [objects.Info.Stamp] of the dropped file; nil: of an earlier version
	expired            bool    // the prediction itself is still there
}

const selectDeletionTargets = `
	SELECT d.id, u.id, d.public_id, u.public_id, d.user_id, u.source_key, u.source_stamp
	FROM predictions d JOIN uploads u ON u.id = d.upload_id `

func scanDeletionTarget(row pgx.CollectableRow) (d deletionTarget, err error) {
	err = row.Scan(&d.id, &d.uploadID, &d.publicID, &d.publicUp, &d.userID, &d.sourceKey, &d.sourceStamp)
	return d, err
}

// Delete removes a user's prediction with its upload and everything made of it. Doing it again within a day
// changes nothing; what is not there is [ErrNotFound].
func (ps *Predictions) Delete(ctx context.Context, userID int64, id uuid.UUID) error {
	var d deletionTarget
	err := ps.db.ReadAs(ctx, userID, selectDeletionTargets+`WHERE d.public_id = $1 AND d.user_id = $2`, []any{id, userID},
		func(rows pgx.Rows) (err error) {
			d, err = pgx.CollectExactlyOneRow(rows, scanDeletionTarget)
			return err
		})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = ps.wasDeleted(ctx, userID, id)
	case err == nil:
		err = ps.db.InTxAs(ctx, userID, func(tx pgx.Tx) error { return d.delete(ctx, tx) })
	}
	if err != nil {
		return fmt.Errorf("delete prediction: %w", err)
	}
	return nil
}

func (ps *Predictions) wasDeleted(ctx context.Context, userID int64, id uuid.UUID) error {
	var known bool
	err := ps.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM deletions WHERE prediction_id = $1 AND user_id = $2)`,
			id, userID).Scan(&known)
	})
	if err == nil && !known {
		err = ErrNotFound
	}
	return err
}

// delete locks the user's outcomes, as months of them are made anew without this prediction, and then the parts: a commit that is under way ends before, and its blocks go too; later ones find no part.
// Blocks go before their prediction, by which row level security knows whose they are. One that has expired may have a
// deletion already, which leaves a dropped file.
func (d deletionTarget) delete(ctx context.Context, tx pgx.Tx) error {
	if err := counts.Lock(ctx, tx, d.userID); err != nil {
		return err
	}
	var batch pgx.Batch
	batch.Queue(`SELECT FROM prediction_parts WHERE prediction_id = $1 FOR UPDATE`, d.id)
	batch.Queue(`SELECT FROM predictions WHERE id = $1 FOR UPDATE`, d.id) // a retry makes parts that are not locked yet
	counts.Forget(&batch, d.id)
	batch.Queue(`DELETE FROM prediction_blocks WHERE prediction_id = $1`, d.id)
	batch.Queue(`DELETE FROM predictions WHERE id = $1`, d.id)
	batch.Queue(`DELETE FROM uploads WHERE id = $1 AND NOT EXISTS (SELECT FROM predictions WHERE upload_id = $1)`,
		d.uploadID)
	batch.Queue(`DELETE FROM upload_links WHERE public_id = $1`, d.publicUp) // it has the file's name
	batch.Queue(`
		INSERT INTO deletions (prediction_id, upload_id, user_id, source_key, source_stamp) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (prediction_id) DO UPDATE
		SET source_key = excluded.source_key, source_stamp = excluded.source_stamp, passes = 0, due_at = excluded.due_at`,
		d.publicID, d.publicUp, d.userID, d.sourceKey, d.sourceStamp)
	return tx.SendBatch(ctx, &batch).Close()
}

// Delete deletes an account: from now on its tokens and keys are refused, its predictions are not scored, and the sweep
// removes its rows and files. Doing it again changes nothing.
func (a *Accounts) Delete(ctx context.Context, userID int64) error {
	err := a.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue(`
			UPDATE users SET deleted_at = coalesce(deleted_at, clock_timestamp()), training_rate = 0
			WHERE id = $1`, userID)
		batch.Queue(`DELETE FROM access_keys WHERE user_id = $1`, userID)
		batch.Queue(`
			UPDATE predictions SET status = 'cancelled', finish_due = false, finished_at = clock_timestamp()
			WHERE user_id = $1 AND status IN ('queued', 'running')`, userID)
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return fmt.Errorf("delete account: %w", err)
	}
	return nil
}

// requireAccount returns [ErrAccountDeleted] if a user has deleted their account. A request that authenticated before may
// last longer than the hour in which [Upkeep.SweepDeletions] removes what was being created.
func requireAccount(ctx context.Context, tx pgx.Tx, userID int64) error {
	err := requireRow(tx.Exec(ctx, `SELECT FROM users WHERE id = $1 AND deleted_at IS NULL`, userID))
	if errors.Is(err, ErrLeaseLost) {
		return ErrAccountDeleted
	}
	return err
}

// accountTables are the tables with a user's rows, other than those that are deleted with their prediction.
var accountTables = [...]string{
	"ml_training_data", "uploads", "outcome_reports", "outcome_months", "model_defaults", "request_keys", "access_keys", "upload_links",
}

// DeleteLater notes that an upload of which there is no row has left a file that could not be removed.
func (ps *Predictions) DeleteLater(ctx context.Context, userID int64, upload uuid.UUID) error {
	err := ps.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO deletions (prediction_id, upload_id, user_id) VALUES ($1, $2, $3)`, uuid.New(), upload, userID)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete later: %w", err)
	}
	return nil
}

const (
	deletionsAtOnce    = 20
	deletionTargetsMax = 100
)

// SweepDeletions removes the rows, files and comparisons that [Predictions.Delete], [Accounts.Delete] and [Upkeep.Expire] left, until
// none is due. Several processes may call it at the same time.
func (u *Upkeep) SweepDeletions(ctx context.Context, o objects.Store) error {
	for {
		users, err := u.sweepAccounts(ctx)
		if err != nil {
			return fmt.Errorf("sweep deletions: %w", err)
		}
		files, err := u.sweepFiles(ctx, o)
		if err != nil {
			return fmt.Errorf("sweep deletions: %w", err)
		}
		if users+files == 0 {
			return nil
		}
	}
}

// sweepAccounts deletes predictions of deleted accounts, for an hour also those that were being created meanwhile.
func (u *Upkeep) sweepAccounts(ctx context.Context) (deleted int, err error) {
	rows, err := u.db.Pool.Query(ctx, selectDeletionTargets+`
		WHERE d.user_id IN (SELECT id FROM users WHERE deleted_at IS NOT NULL AND erased_at IS NULL)
		ORDER BY d.id LIMIT $1`, deletionTargetsMax)
	if err != nil {
		return 0, err
	}
	list, err := pgx.CollectRows(rows, scanDeletionTarget)
	if err != nil {
		return 0, err
	}
	for _, d := range list {
		if err := u.db.InTx(ctx, func(tx pgx.Tx) error { return d.delete(ctx, tx) }); err != nil {
			return 0, err
		}
	}
	if len(list) > 0 {
		return len(list), nil
	}
	return 0, u.eraseAccounts(ctx)
}

// eraseAccounts deletes the other rows of deleted accounts that have no prediction left.
func (u *Upkeep) eraseAccounts(ctx context.Context) error {
	return u.db.InTx(ctx, func(tx pgx.Tx) error {
		var batch pgx.Batch
		const leaving = `IN (SELECT id FROM users u WHERE deleted_at IS NOT NULL AND erased_at IS NULL
			AND NOT EXISTS (SELECT FROM predictions d WHERE d.user_id = u.id))`
		batch.Queue(`
			INSERT INTO deletions (prediction_id, upload_id, user_id, source_key, source_stamp)
			SELECT gen_random_uuid(), public_id, user_id, source_key, source_stamp FROM uploads WHERE user_id ` + leaving)
		batch.Queue(`
			INSERT INTO deletions (prediction_id, upload_id, user_id)
			SELECT gen_random_uuid(), public_id, user_id FROM upload_links
			WHERE prediction_id IS NULL AND user_id ` + leaving)
		for _, table := range accountTables {
			batch.Queue(`DELETE FROM ` + pgx.Identifier{table}.Sanitize() + ` WHERE user_id ` + leaving)
		}
		batch.Queue(`
			UPDATE users SET erased_at = clock_timestamp()
			WHERE deleted_at <= clock_timestamp() - interval '1 hour' AND id ` + leaving)
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// sweepFiles removes the files of deletions that are due. One that is interrupted is due again a little later.
func (u *Upkeep) sweepFiles(ctx context.Context, o objects.Store) (swept int, err error) {
	rows, err := u.db.Pool.Query(ctx, `
		UPDATE deletions SET due_at = clock_timestamp() + interval '5 minutes'
		WHERE prediction_id IN (SELECT prediction_id FROM deletions WHERE due_at <= statement_timestamp()
		                        ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING prediction_id, upload_id, source_key, source_stamp,
		          EXISTS (SELECT FROM predictions d WHERE d.public_id = prediction_id)`, deletionsAtOnce)
	if err != nil {
		return 0, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d deletionTarget, err error) {
		err = row.Scan(&d.publicID, &d.publicUp, &d.sourceKey, &d.sourceStamp, &d.expired)
		return d, err
	})
	if err != nil {
		return 0, err
	}
	for _, d := range list { // one that fails must not block the others
		failed := errors.Join(u.forgetComparisons(ctx, d.publicID), d.removeFiles(ctx, o))
		if failed == nil {
			failed = u.recordSwept(ctx, d.publicID)
		}
		err = errors.Join(err, failed)
	}
	return len(list), err
}

func (d deletionTarget) removeFiles(ctx context.Context, o objects.Store) error {
	why := objects.Deleted
	if d.expired {
		why = objects.Expired
	}
	for _, prefix := range []string{objects.UploadPrefix(d.publicUp), objects.PredictionPrefix(d.publicID)} {
		if err := objects.DeletePrefix(ctx, o, why, prefix); err != nil {
			return err
		}
	}
	keys := []string{DirectKey(d.publicUp)} // if it came through a link and was not taken over yet
	replaced, err := d.replaced(ctx, o)
	if err != nil {
		return err
	}
	if d.sourceKey != nil && !replaced {
		keys = append(keys, *d.sourceKey)
	}
	return o.Delete(ctx, why, keys...)
}

// replaced reports whether another file was dropped under the key since: that one stays.
func (d deletionTarget) replaced(ctx context.Context, o objects.Store) (bool, error) {
	if d.sourceKey == nil || d.sourceStamp == nil {
		return false, nil
	}
	info, err := o.Head(ctx, *d.sourceKey)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && info.Stamp() != *d.sourceStamp, err
}

// deleteNow makes deletions due at once whose files were not removed yet.
func (u *Upkeep) deleteNow(ctx context.Context) error {
	_, err := u.db.Pool.Exec(ctx, `UPDATE deletions SET due_at = clock_timestamp() WHERE passes = 0`)
	if err != nil {
		return fmt.Errorf("make deletions due: %w", err)
	}
	return nil
}

// recordSwept records that the files were removed, and when to sweep again: after ten minutes, and once more after a day.
func (u *Upkeep) recordSwept(ctx context.Context, id uuid.UUID) error {
	var batch pgx.Batch
	batch.Queue(`DELETE FROM deletions WHERE prediction_id = $1 AND passes >= 2`, id)
	batch.Queue(`
		UPDATE deletions SET passes = passes + 1, due_at = clock_timestamp() +
		    CASE passes WHEN 0 THEN interval '10 minutes' ELSE interval '1 day' END
		WHERE prediction_id = $1`, id)
	return u.db.Pool.SendBatch(ctx, &batch).Close()
}
