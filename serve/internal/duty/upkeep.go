// Package duty has the background loops of a process: the upkeep (one process at a time, under the upkeep lock), the
// sweeps of every worker, the canary, webhooks, the handler of queue messages, deadlines of predictions, the watch of
// ownership, and the gauges of the queue. What answers a request belongs in api, what works on a claim in work.
package duty

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/objects"
)

// Upkeep is the maintenance that one process at a time runs every few minutes under the upkeep lock: it expires old results
// (retention), removes customers' data that nothing reads any more, deletes orphaned objects, and enqueues dropped files
// whose event was lost.
type Upkeep struct {
	Store   *store.Store
	Objects objects.Store
	Owner   *store.Owner
	Retain  time.Duration // how long results are kept; 0 is forever
	Inbox   *QueueHandler // enqueues dropped files; nil without a bucket
	Log     *slog.Logger

	SweepAfter   time.Duration // how long all must have been well before anything is swept
	healthySince time.Time     // since when it is; zero: it is not
	tempSwept    time.Time     // when interrupted writes were swept last
}

const (
	upkeepInterval  = 5 * time.Minute
	orphanAge       = 24 * time.Hour
	modelAge        = 24 * time.Hour  // how long nothing names a model before it is given up
	inboxEventDelay = 5 * time.Minute // an event may take as long
	inboxBatch      = 500

	tempSweepInterval = 30 * time.Minute // leftovers of a killed process are gone within the hour; a bucket's listing costs money
	tempFileAge       = 24 * time.Hour   // where it cannot be known whether the writer lives, as in a bucket
)

// Run runs the upkeep every five minutes until ctx ends, or more often if SweepAfter is shorter.
func (u *Upkeep) Run(ctx context.Context) {
	for ctx.Err() == nil {
		_, err := u.Store.Upkeep.WithLock(ctx, u.Once)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, store.ErrSweepStopped):
			u.Log.Error("upkeep", "error", err)
		default:
			u.Log.Warn("upkeep", "error", err)
		}
		backoff.Pause(ctx, min(upkeepInterval, max(u.SweepAfter/2, time.Second)))
	}
}

// Once runs every step, also after a step has failed, and returns the joined errors. It deletes no results or objects unless
// the object store belongs to this database.
func (u *Upkeep) Once(ctx context.Context) error {
	var expired, orphans int
	var expiring, sweeping error
	forgetting := errors.Join(u.Store.Upkeep.ForgetEnded(ctx), u.Store.Counts.Remake(ctx, health.Sum))
	state, failed := u.Owner.Check(ctx)
	owned := failed == nil && state == store.Owned
	if owned && u.Retain > 0 {
		expired, expiring = u.Store.Upkeep.Expire(ctx, u.Retain)
	}
	if u.MaySweep(owned && expiring == nil, time.Now()) {
		orphans, sweeping = u.sweep(ctx)
	}
	if expired+orphans > 0 {
		u.Log.Info("upkeep", "expired", expired, "orphans", orphans)
	}
	if failed = errors.Join(forgetting, failed, expiring, sweeping); state == store.Stranger {
		return failed // dropped files belong to the other installation
	}
	return errors.Join(failed, u.CompletePostponed(ctx), u.ScanInbox(ctx, inboxEventDelay))
}

// MaySweep reports whether every check up to now has been healthy for at least SweepAfter; an unhealthy one starts the
// wait again. A process that was just started may be misconfigured, and an operator needs time to notice.
func (u *Upkeep) MaySweep(healthy bool, now time.Time) bool {
	switch {
	case !healthy:
		u.healthySince = time.Time{}
	case u.healthySince.IsZero():
		u.healthySince = now
	}
	return healthy && now.Sub(u.healthySince) >= u.SweepAfter
}

// sweep gives up models that nothing names, deletes orphaned objects and, every half hour, the temporary files of
// interrupted writes.
func (u *Upkeep) sweep(ctx context.Context) (orphans int, err error) {
	if _, err = u.Store.Models.Sweep(ctx, modelAge); err == nil {
		orphans, err = u.Owner.SweepOrphans(ctx, orphanAge)
	}
	if err == nil && time.Since(u.tempSwept) >= tempSweepInterval {
		u.tempSwept = time.Now()
		_, err = u.Objects.Sweep(ctx, tempFileAge, nil)
	}
	return orphans, err
}

// ScanInbox enqueues dropped files that are older than age and whose event was lost.
func (u *Upkeep) ScanInbox(ctx context.Context, age time.Duration) error {
	if u.Inbox == nil {
		return nil
	}
	var batch []objects.Info
	full := map[string]bool{}
	for info, err := range u.Objects.List(ctx, objects.InboxPrefix) {
		if err != nil {
			return err
		}
		if time.Since(info.Modified) < age || info.Bytes == 0 {
			continue
		}
		if batch = append(batch, info); len(batch) == inboxBatch {
			if err := u.enqueueUnrecorded(ctx, batch, full); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return u.enqueueUnrecorded(ctx, batch, full)
}

// enqueueUnrecorded enqueues the files of list that are not recorded. It skips the folders in full, and adds those of users
// who have too many waiting predictions.
func (u *Upkeep) enqueueUnrecorded(ctx context.Context, list []objects.Info, full map[string]bool) error {
	bucket := u.Inbox.Files.Bucket
	unrecorded, err := u.Store.Upkeep.UnrecordedObjects(ctx, bucket, list)
	for _, o := range unrecorded {
		if full[inboxUser(o.Key)] {
			continue
		}
		switch reason, failed := u.Inbox.enqueue(ctx, o.Key, ""); {
		case plan.IsWaitingLimit(failed):
			full[inboxUser(o.Key)] = true
		case failed != nil: // continue with the next file
			u.Log.Warn("enqueue dropped file", "error", failed)
		case reason != "":
			u.Log.Warn("file in the inbox is not scored", "reason", string(reason))
		}
	}
	return err
}
