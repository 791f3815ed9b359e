package serve

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/store"
)

// upkeep is what one process at a time does every few minutes: old results expire, objects that nothing speaks of or
// reads any more are removed, and dropped files of which no event told us are scored.
type upkeep struct {
	store   *store.Store
	objects store.Objects
	owner   *store.Owner
	retain  time.Duration // how long results are kept; 0: for ever
	inbox   *doorbell     // nil: nothing is dropped here
	log     *slog.Logger

	sweepAfter time.Duration // how long all must have been well before anything is swept
	well       time.Time     // since when it is; zero: it is not
	temporary  time.Time     // when interrupted writes were swept last
}

const (
	upkeepInterval = 5 * time.Minute
	orphanAge      = 24 * time.Hour
	unheardAge     = 5 * time.Minute // an event may take as long
	inboxAtOnce    = 500

	temporaryInterval = time.Hour // listing costs money, and what it looks for is a day old
	temporaryAge      = 24 * time.Hour
)

func newUpkeep(c RunConfig, f *foundation) *upkeep {
	u := &upkeep{
		store: f.store, objects: f.objects, owner: f.owner, retain: c.Retain, log: c.Log, sweepAfter: c.SweepAfter,
	}
	if c.S3.Bucket != "" {
		u.inbox = &doorbell{store: f.store, files: c.S3, log: c.Log}
	}
	return u
}

// run works until ctx ends. With a short time before sweeps it looks as often as that takes.
func (u *upkeep) run(ctx context.Context) {
	for ctx.Err() == nil {
		_, err := u.store.Alone(ctx, u.once)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, store.ErrSweepStopped):
			u.log.Error("upkeep", "error", err)
		default:
			u.log.Warn("upkeep", "error", err)
		}
		pause(ctx, min(upkeepInterval, max(u.sweepAfter/2, time.Second)))
	}
}

// once does everything, also what comes behind a failure. Nothing is deleted unless database and store belong together.
func (u *upkeep) once(ctx context.Context) error {
	var expired, orphans int
	var expiring, sweeping error
	state, failed := u.owner.Check(ctx)
	owned := failed == nil && state == store.Owned
	if owned && u.retain > 0 {
		expired, expiring = u.store.Expire(ctx, u.retain)
	}
	if u.settled(owned && expiring == nil, time.Now()) {
		orphans, sweeping = u.sweep(ctx)
	}
	if expired+orphans > 0 {
		u.log.Info("upkeep", "expired", expired, "orphans", orphans)
	}
	if failed = errors.Join(failed, expiring, sweeping); state == store.Stranger {
		return failed // what was dropped there is for the other installation to score
	}
	return errors.Join(failed, u.completePostponed(ctx), u.lookIntoInbox(ctx, unheardAge))
}

// settled says whether all has been well for long enough to sweep. A process that has just started may be wrong about
// where it is, and an operator needs time to notice.
func (u *upkeep) settled(well bool, now time.Time) bool {
	switch {
	case !well:
		u.well = time.Time{}
	case u.well.IsZero():
		u.well = now
	}
	return well && now.Sub(u.well) >= u.sweepAfter
}

// sweep removes objects that nothing needs and, now and then, what interrupted writes left.
func (u *upkeep) sweep(ctx context.Context) (orphans int, err error) {
	orphans, err = u.owner.SweepOrphans(ctx, orphanAge)
	if err == nil && time.Since(u.temporary) >= temporaryInterval {
		u.temporary = time.Now()
		_, err = u.objects.Sweep(ctx, temporaryAge, nil)
	}
	return orphans, err
}

// lookIntoInbox scores dropped files that are older than age and of which nobody has told us.
func (u *upkeep) lookIntoInbox(ctx context.Context, age time.Duration) error {
	if u.inbox == nil {
		return nil
	}
	var batch []store.ObjectInfo
	full := map[string]bool{}
	for info, err := range u.objects.List(ctx, store.InboxPrefix) {
		if err != nil {
			return err
		}
		if time.Since(info.Modified) < age || info.Bytes == 0 {
			continue
		}
		if batch = append(batch, info); len(batch) == inboxAtOnce {
			if err := u.enqueueUnheard(ctx, batch, full); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return u.enqueueUnheard(ctx, batch, full)
}

// enqueueUnheard records files until their users have enough waiting; full has the folders of those who have.
func (u *upkeep) enqueueUnheard(ctx context.Context, list []store.ObjectInfo, full map[string]bool) error {
	bucket := u.inbox.files.Bucket
	unheard, err := u.store.Unheard(ctx, bucket, list)
	for _, o := range unheard {
		if full[inboxUser(o.Key)] {
			continue
		}
		event := store.ObjectEvent{Bucket: bucket, Key: o.Key, Version: o.ETag, ETag: o.ETag, Bytes: o.Bytes}
		switch failed := u.inbox.enqueue(ctx, event); {
		case waits(failed):
			full[inboxUser(o.Key)] = true
		case failed != nil: // the next file is not to blame
			u.log.Warn("inbox", "error", failed)
		}
	}
	return err
}
