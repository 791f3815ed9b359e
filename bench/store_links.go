package bench

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// linkMethods are about files that go straight into the bucket, and about announcing how predictions ended.
func (w *storeWork) linkMethods() []method {
	return []method{
		{name: "CreateUploadLink", call: w.newLink},
		{name: "UploadLink", prepare: w.newLink, call: func(ctx context.Context) error {
			_, err := w.UploadLinks.Get(ctx, w.user.ID, w.link.ID)
			return err
		}},
		{name: "LinkOfObject", prepare: w.newLink, call: func(ctx context.Context) error {
			_, err := w.UploadLinks.OfObject(ctx, w.link.ID)
			return err
		}},
		{name: "CompleteUpload", prepare: w.newLink, call: func(ctx context.Context) (err error) {
			w.given, err = w.UploadLinks.Complete(ctx, w.link, objects.Info{Bytes: 1, ETag: `"etag"`})
			return err
		}, after: w.drop},
		{name: "SweepUploadLinks", prepare: w.newLink, call: func(ctx context.Context) error {
			return w.UploadLinks.Sweep(ctx, -2*time.Hour)
		}},
		{name: "PostponeUploadLink", prepare: w.newLink, call: w.postponeLink, after: w.sweepLink},
		{name: "PostponedLinks", prepare: func(ctx context.Context) error {
			return errors.Join(w.newLink(ctx), w.postponeLink(ctx))
		}, call: func(ctx context.Context) error {
			_, err := w.UploadLinks.Postponed(ctx, nil)
			return err
		}, after: w.sweepLink},
		{name: "EnableAnnouncements", call: w.Announcements.Enable},
		{name: "ClaimAnnouncements", prepare: w.announced, call: w.claimAnnouncement, after: w.drop},
		{name: "PostponeAnnouncement", prepare: w.announcement, call: func(ctx context.Context) error {
			return w.Announcements.Postpone(ctx, w.announcementID, time.Minute, false)
		}, after: w.drop},
		{name: "DropAnnouncement", prepare: w.announcement, call: func(ctx context.Context) error {
			return w.Announcements.Drop(ctx, w.announcementID)
		}, after: w.drop},
		{name: "ReviveAnnouncements", prepare: w.announcement, call: func(ctx context.Context) error {
			_, err := w.Announcements.Revive(ctx)
			return err
		}, after: w.drop},
		{name: "AnnouncementBacklog", prepare: w.announced, call: func(ctx context.Context) error {
			_, _, err := w.Announcements.Backlog(ctx)
			return err
		}, after: w.drop},
	}
}

// upkeepMethods are what one process at a time does now and then.
func (w *storeWork) upkeepMethods() []method {
	return []method{
		{name: "CancelAny", prepare: w.upload(10), call: func(ctx context.Context) error {
			_, err := w.Upkeep.CancelAny(ctx, w.given.ID)
			return err
		}, after: w.drop},
		{name: "Expire, nothing old", call: func(ctx context.Context) error {
			_, err := w.Upkeep.Expire(ctx, 10*365*24*time.Hour)
			return err
		}},
		{name: "ForgetEnded", bulk: "also the last prediction of an earlier version", prepare: w.leftCleanup, call: w.Upkeep.ForgetEnded},
		{name: "Heartbeat", call: w.Ledger.Heartbeat},
		{name: "EndOverdue, nothing late", call: func(ctx context.Context) error {
			_, err := w.Ledger.EndOverdue(ctx, 10*365*24*time.Hour, store.Failure{})
			return err
		}},
		{name: "SweepOrphans, one", bulk: "asks the object store as well", prepare: func(ctx context.Context) error {
			_, err := w.objects.Put(ctx, objects.InputKey(uuid.New()), strings.NewReader("id"))
			return err
		}, call: func(ctx context.Context) error {
			_, err := w.owner.SweepOrphans(ctx, 0)
			return err
		}},
		{name: "Mark", call: func(ctx context.Context) error {
			_, err := w.Upkeep.Mark(ctx)
			return err
		}},
		{name: "Housekeeping", call: func(ctx context.Context) error {
			_, err := w.Upkeep.Housekeeping(ctx)
			return err
		}},
		{name: "UnrecordedObjects, 100 objects", call: func(ctx context.Context) error {
			list := make([]objects.Info, 100)
			for i := range list {
				list[i] = objects.Info{Key: "inbox/" + uuid.NewString() + ".csv", ETag: "\"e\"", Modified: time.Now()}
			}
			_, err := w.Upkeep.UnrecordedObjects(ctx, "b", list)
			return err
		}},
		{name: "WithLock", call: func(ctx context.Context) error {
			_, err := w.Upkeep.WithLock(ctx, func(context.Context) error { return nil })
			return err
		}},
	}
}

func (w *storeWork) newLink(ctx context.Context) error {
	w.link = store.UploadLink{
		ID: store.NewID(), UserID: w.user.ID, Filename: "customers.csv", Bytes: 1, Explain: "all",
		Options: []byte("{}"),
	}
	return w.UploadLinks.Create(ctx, &w.link, time.Hour)
}

func (w *storeWork) postponeLink(ctx context.Context) error {
	return w.UploadLinks.Postpone(ctx, w.link.ID, true)
}

// sweepLink removes the link, so that the next call finds one.
func (w *storeWork) sweepLink(ctx context.Context) error {
	if err := w.UploadLinks.Postpone(ctx, w.link.ID, false); err != nil {
		return err
	}
	return w.UploadLinks.Sweep(ctx, -2*time.Hour)
}

// announced makes a prediction whose end is waiting to be announced.
func (w *storeWork) announced(ctx context.Context) error {
	if err := w.Announcements.Enable(ctx); err != nil {
		return err
	}
	if err := w.upload(10)(ctx); err != nil {
		return err
	}
	_, err := w.Predictions.Cancel(ctx, w.user.ID, w.given.ID)
	return err
}

func (w *storeWork) claimAnnouncement(ctx context.Context) error {
	list, err := w.Announcements.Claim(ctx, 1)
	if err == nil && len(list) == 1 {
		w.announcementID = list[0].ID
	}
	return err
}

func (w *storeWork) announcement(ctx context.Context) error {
	if err := w.announced(ctx); err != nil {
		return err
	}
	return w.claimAnnouncement(ctx)
}

// leftCleanup is what a migration leaves to the upkeep: here the last prediction only.
func (w *storeWork) leftCleanup(ctx context.Context) error {
	_, err := w.database.conn.Exec(ctx, `INSERT INTO cleanup (next_id) SELECT max(id) FROM predictions ON CONFLICT DO NOTHING`)
	return err
}
