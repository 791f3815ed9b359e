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
	retain  time.Duration // how long results are kept; 0: for ever
	inbox   *doorbell     // nil: nothing is dropped here
	log     *slog.Logger
}

const (
	upkeepInterval = 5 * time.Minute
	orphanAge      = 24 * time.Hour
	unheardAge     = 5 * time.Minute // an event may take as long
	inboxAtOnce    = 500
)

func newUpkeep(c RunConfig, f *foundation) *upkeep {
	u := &upkeep{store: f.store, objects: f.objects, retain: c.Retain, log: c.Log}
	if c.S3.Bucket != "" {
		u.inbox = &doorbell{store: f.store, bucket: c.S3.Bucket, log: c.Log}
	}
	return u
}

// run works until ctx ends.
func (u *upkeep) run(ctx context.Context) {
	for ctx.Err() == nil {
		if _, err := u.store.Alone(ctx, u.once); err != nil && ctx.Err() == nil {
			u.log.Warn("upkeep", "error", err)
		}
		pause(ctx, upkeepInterval)
	}
}

// once does everything, also what comes behind a failure.
func (u *upkeep) once(ctx context.Context) error {
	var expired int
	var expiring error
	if u.retain > 0 {
		expired, expiring = u.store.Expire(ctx, u.retain)
	}
	orphans, sweeping := u.store.SweepOrphans(ctx, u.objects, orphanAge)
	if expired+orphans > 0 {
		u.log.Info("upkeep", "expired", expired, "orphans", orphans)
	}
	return errors.Join(expiring, sweeping, u.completePostponed(ctx), u.lookIntoInbox(ctx, unheardAge))
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
	unheard, err := u.store.Unheard(ctx, u.inbox.bucket, list)
	for _, o := range unheard {
		if full[inboxUser(o.Key)] {
			continue
		}
		event := store.ObjectEvent{Bucket: u.inbox.bucket, Key: o.Key, Version: o.ETag, ETag: o.ETag, Bytes: o.Bytes}
		switch failed := u.inbox.enqueue(ctx, event); {
		case waits(failed):
			full[inboxUser(o.Key)] = true
		case failed != nil: // the next file is not to blame
			u.log.Warn("inbox", "error", failed)
		}
	}
	return err
}
