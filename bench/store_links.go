package bench

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
)

// linkMethods are about files that go straight into the bucket, and about announcing how predictions ended.
func (w *storeWork) linkMethods() []method {
	return []method{
		{name: "CreateUploadLink", call: w.newLink},
		{name: "UploadLink", prepare: w.newLink, call: func(ctx context.Context) error {
			_, err := w.UploadLink(ctx, w.user.ID, w.link.ID)
			return err
		}},
		{name: "LinkOfObject", prepare: w.newLink, call: func(ctx context.Context) error {
			_, err := w.LinkOfObject(ctx, w.link.ID)
			return err
		}},
		{name: "CompleteUpload", prepare: w.newLink, call: func(ctx context.Context) (err error) {
			w.given, err = w.CompleteUpload(ctx, w.link, store.ObjectInfo{Bytes: 1, ETag: `"etag"`})
			return err
		}, after: w.drop},
		{name: "SweepUploadLinks", prepare: w.newLink, call: func(ctx context.Context) error {
			return w.SweepUploadLinks(ctx, -2*time.Hour)
		}},
		{name: "PostponeUploadLink", prepare: w.newLink, call: w.postponeLink, after: w.sweepLink},
		{name: "PostponedLinks", prepare: func(ctx context.Context) error {
			return errors.Join(w.newLink(ctx), w.postponeLink(ctx))
		}, call: func(ctx context.Context) error {
			_, err := w.PostponedLinks(ctx, nil)
			return err
		}, after: w.sweepLink},
		{name: "EnableAnnouncements", call: w.EnableAnnouncements},
		{name: "ClaimAnnouncements", prepare: w.announced, call: w.claimAnnouncement, after: w.drop},
		{name: "PostponeAnnouncement", prepare: w.announcement, call: func(ctx context.Context) error {
			return w.PostponeAnnouncement(ctx, w.announcementID, time.Minute, false)
		}, after: w.drop},
		{name: "DropAnnouncement", prepare: w.announcement, call: func(ctx context.Context) error {
			return w.DropAnnouncement(ctx, w.announcementID)
		}, after: w.drop},
		{name: "ReviveAnnouncements", prepare: w.announcement, call: func(ctx context.Context) error {
			_, err := w.ReviveAnnouncements(ctx)
			return err
		}, after: w.drop},
		{name: "AnnouncementBacklog", prepare: w.announced, call: func(ctx context.Context) error {
			_, _, err := w.AnnouncementBacklog(ctx)
			return err
		}, after: w.drop},
	}
}

// upkeepMethods are what one process at a time does now and then.
func (w *storeWork) upkeepMethods() []method {
	return []method{
		{name: "CancelAny", prepare: w.upload(10), call: func(ctx context.Context) error {
			_, err := w.CancelAny(ctx, w.given.ID)
			return err
		}, after: w.drop},
		{name: "Expire, nothing old", call: func(ctx context.Context) error {
			_, err := w.Expire(ctx, 10*365*24*time.Hour)
			return err
		}},
		{name: "Heartbeat", call: w.Heartbeat},
		{name: "EndOverdue, nothing late", call: func(ctx context.Context) error {
			_, err := w.EndOverdue(ctx, 10*365*24*time.Hour, store.Failure{})
			return err
		}},
		{name: "SweepOrphans, one", bulk: "asks the object store as well", prepare: func(ctx context.Context) error {
			_, err := w.objects.Put(ctx, store.InputKey(uuid.New()), strings.NewReader("id"))
			return err
		}, call: func(ctx context.Context) error {
			_, err := w.owner.SweepOrphans(ctx, 0)
			return err
		}},
		{name: "Mark", call: func(ctx context.Context) error {
			_, err := w.Mark(ctx)
			return err
		}},
		{name: "Housekeeping", call: func(ctx context.Context) error {
			_, err := w.Housekeeping(ctx)
			return err
		}},
		{name: "Unheard, 100 objects", call: func(ctx context.Context) error {
			objects := make([]store.ObjectInfo, 100)
			for i := range objects {
				objects[i] = store.ObjectInfo{Key: "inbox/" + uuid.NewString() + ".csv", Modified: time.Now()}
			}
			_, err := w.Unheard(ctx, "b", objects)
			return err
		}},
		{name: "Alone", call: func(ctx context.Context) error {
			_, err := w.Alone(ctx, func(context.Context) error { return nil })
			return err
		}},
	}
}

func (w *storeWork) newLink(ctx context.Context) error {
	w.link = store.UploadLink{
		ID: store.NewID(), UserID: w.user.ID, Filename: "customers.csv", Bytes: 1, Explain: "all",
		Options: []byte("{}"),
	}
	return w.CreateUploadLink(ctx, &w.link, time.Hour)
}

func (w *storeWork) postponeLink(ctx context.Context) error {
	return w.PostponeUploadLink(ctx, w.link.ID, true)
}

// sweepLink removes the link, so that the next call finds one.
func (w *storeWork) sweepLink(ctx context.Context) error {
	if err := w.PostponeUploadLink(ctx, w.link.ID, false); err != nil {
		return err
	}
	return w.SweepUploadLinks(ctx, -2*time.Hour)
}

// announced makes a prediction whose end is waiting to be announced.
func (w *storeWork) announced(ctx context.Context) error {
	if err := w.EnableAnnouncements(ctx); err != nil {
		return err
	}
	if err := w.upload(10)(ctx); err != nil {
		return err
	}
	_, err := w.Cancel(ctx, w.user.ID, w.given.ID)
	return err
}

func (w *storeWork) claimAnnouncement(ctx context.Context) error {
	list, err := w.ClaimAnnouncements(ctx, 1)
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
