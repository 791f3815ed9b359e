package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// adoptInDispute deletes a prediction as a customer, sees that its files stay, and lets an operator adopt the
// bucket. That they go then is for [disturber.verifyRemoved] to see.
func (d *disturber) adoptInDispute(ctx context.Context) error {
	err := d.until(ctx, "the bucket is in dispute", func() (bool, error) {
		m, err := d.checker.Mark(ctx)
		return m.Disputed, err
	})
	if err != nil {
		return err
	}
	s, ok := d.rounds.take()
	if !ok {
		return errors.New("there is no prediction to delete")
	}
	status, err := d.client.remove(ctx, s.name, s.PublicID)
	if err != nil {
		return err
	}
	d.notes.add(fmt.Sprint("deletions in a dispute answered with ", status))
	err = d.until(ctx, "a worker has tried", func() (bool, error) { return tried(ctx, d.db, s.PublicID) })
	if err != nil {
		return err
	}
	left, err := d.filesOf(ctx, s)
	if err == nil && left != 3 {
		err = fmt.Errorf("%d of 3 files were left in the dispute", left)
	}
	if err != nil {
		return err
	}
	if err := d.adopt(ctx); err != nil {
		return err
	}
	d.removed = append(d.removed, s)
	return nil
}

// calmRemoval is how long workers that are not disturbed may take to look for deletions.
const calmRemoval = 90 * time.Second

// verifyRemoved waits until the files of all predictions that customers deleted in a dispute are gone. A worker that was
// disturbed while it removed them has put that off for minutes; adopting again makes them due.
func (d *disturber) verifyRemoved(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, calmRemoval)
	defer cancel()
	if left, err := d.unremoved(ctx); err != nil || left == 0 {
		return err
	}
	if err := d.adopt(ctx); err != nil {
		return err
	}
	for left := 1; left > 0; {
		var err error
		if left, err = d.unremoved(ctx); ctx.Err() != nil {
			d.notes.violation("files of predictions that customers deleted are still there")
			return nil
		} else if err != nil {
			return err
		}
		wait(ctx, 100*time.Millisecond)
	}
	return nil
}

// unremoved counts the files of deleted predictions that are still there.
func (d *disturber) unremoved(ctx context.Context) (n int, err error) {
	for _, s := range d.removed {
		left, err := d.filesOf(ctx, s)
		if err != nil {
			return n, err
		}
		n += left
	}
	return n, nil
}

// adopt is what an operator does who knows that the original owns the bucket.
func (d *disturber) adopt(ctx context.Context) error {
	straight := way{database: d.servers.DatabaseURL, objects: hostOf(d.servers.S3.Endpoint)}
	code, text, err := d.command(ctx, straight, "operator",
		"store", "adopt", "--data-dir", filepath.Join(d.dir, "operator"))
	if err == nil && code != 0 {
		err = errors.New(text)
	}
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	d.write("an operator adopted the bucket")
	return nil
}

// filesOf counts the files of a prediction that are there: of upload, result and rejects.
func (d *disturber) filesOf(ctx context.Context, s settled) (n int, err error) {
	for _, key := range []string{s.UploadKey, s.ResultKey, s.RejectsKey} {
		keys, err := d.checker.Objects(ctx, key)
		if err != nil {
			return n, err
		}
		n += len(keys)
	}
	return n, nil
}

// querier is a connection or a pool.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// tried reports whether a worker has taken a deletion: it is not due before another time.
func tried(ctx context.Context, q querier, prediction string) (yes bool, err error) {
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM deletions
		WHERE prediction_id = $1::uuid AND due_at > clock_timestamp() + interval '1 minute')`, prediction).Scan(&yes)
	return yes, err
}
