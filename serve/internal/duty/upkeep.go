// Package duty has the loops that run beside requests and parts: the upkeep and the sweeps, the canary, webhooks, the
// doorbell of a queue, deadlines of predictions, and the ownership of the object store.
package duty

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/serve/internal/backoff"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
)

// Upkeep is what one process at a time does every few minutes: old results expire, objects that nothing speaks of or
// reads any more are removed, and dropped files without an event are scored.
type Upkeep struct {
	Store   *store.Store
	Objects store.Objects
	Owner   *store.Owner
	Retain  time.Duration // how long results are kept; 0: for ever
	Inbox   *QueueHandler // nil: nothing is dropped here
	Log     *slog.Logger

	SweepAfter   time.Duration // how long all must have been well before anything is swept
	healthySince time.Time     // since when it is; zero: it is not
	tempSwept    time.Time     // when interrupted writes were swept last
}

const (
	upkeepInterval  = 5 * time.Minute
	orphanAge       = 24 * time.Hour
	inboxEventDelay = 5 * time.Minute // an event may take as long
	inboxBatch      = 500

	tempSweepInterval = time.Hour // listing costs money, and what it looks for is a day old
	tempFileAge       = 24 * time.Hour
)

// Run works until ctx ends. With a short time before sweeps it looks as often as that takes.
func (u *Upkeep) Run(ctx context.Context) {
	for ctx.Err() == nil {
		_, err := u.Store.Alone(ctx, u.Once)
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

// Once does everything, also what comes behind a failure. Nothing is deleted unless database and store belong together.
func (u *Upkeep) Once(ctx context.Context) error {
	var expired, orphans int
	var expiring, sweeping error
	state, failed := u.Owner.Check(ctx)
	owned := failed == nil && state == store.Owned
	if owned && u.Retain > 0 {
		expired, expiring = u.Store.Expire(ctx, u.Retain)
	}
	if u.MaySweep(owned && expiring == nil, time.Now()) {
		orphans, sweeping = u.sweep(ctx)
	}
	if expired+orphans > 0 {
		u.Log.Info("upkeep", "expired", expired, "orphans", orphans)
	}
	if failed = errors.Join(failed, expiring, sweeping); state == store.Stranger {
		return failed // what was dropped there is for the other installation to score
	}
	return errors.Join(failed, u.CompletePostponed(ctx), u.ScanInbox(ctx, inboxEventDelay))
}

// MaySweep says whether all has been well for long enough to sweep. A process that has just started may be wrong about
// where it is, and an operator needs time to notice.
func (u *Upkeep) MaySweep(well bool, now time.Time) bool {
	switch {
	case !well:
		u.healthySince = time.Time{}
	case u.healthySince.IsZero():
		u.healthySince = now
	}
	return well && now.Sub(u.healthySince) >= u.SweepAfter
}

// sweep removes objects that nothing needs and, now and then, what interrupted writes left.
func (u *Upkeep) sweep(ctx context.Context) (orphans int, err error) {
	orphans, err = u.Owner.SweepOrphans(ctx, orphanAge)
	if err == nil && time.Since(u.tempSwept) >= tempSweepInterval {
		u.tempSwept = time.Now()
		_, err = u.Objects.Sweep(ctx, tempFileAge, nil)
	}
	return orphans, err
}

// ScanInbox scores dropped files that are older than age and for which no event came.
func (u *Upkeep) ScanInbox(ctx context.Context, age time.Duration) error {
	if u.Inbox == nil {
		return nil
	}
	var batch []store.ObjectInfo
	full := map[string]bool{}
	for info, err := range u.Objects.List(ctx, store.InboxPrefix) {
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

// enqueueUnrecorded records files until their users have enough waiting; full has the folders of those who have.
func (u *Upkeep) enqueueUnrecorded(ctx context.Context, list []store.ObjectInfo, full map[string]bool) error {
	bucket := u.Inbox.Files.Bucket
	unheard, err := u.Store.Unheard(ctx, bucket, list)
	for _, o := range unheard {
		if full[inboxUser(o.Key)] {
			continue
		}
		event := store.ObjectEvent{Bucket: bucket, Key: o.Key, Version: o.ETag, ETag: o.ETag, Bytes: o.Bytes}
		switch failed := u.Inbox.enqueue(ctx, event); {
		case plan.IsWaitingLimit(failed):
			full[inboxUser(o.Key)] = true
		case failed != nil: // the next file is not to blame
			u.Log.Warn("inbox", "error", failed)
		}
	}
	return err
}
