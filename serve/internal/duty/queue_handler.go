package duty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
)

// QueueHandler turns what comes from outside into work: messages of a queue about predictions that wait and about files
// that others dropped. PostgreSQL stays the truth: a message that comes twice, late or never changes nothing.
type QueueHandler struct {
	Store   *store.Store
	Objects store.Objects
	Files   store.S3Config // events of other buckets, and of what is not below its prefix, are ignored
	Wake    func()         // wakes this process's worker; nil if it has none
	Log     *slog.Logger
}

// Handle is called for each message; an error leaves the message in the queue.
func (d *QueueHandler) Handle(ctx context.Context, n store.Notice) error {
	for _, e := range n.Objects {
		key, ours := d.Files.KeyOf(e.Key)
		if !ours || e.Bucket != d.Files.Bucket {
			continue
		}
		e.Key = key
		var err error
		switch { // our own uploads and results raise events too
		case strings.HasPrefix(key, store.DirectPrefix):
			err = d.completeByEvent(ctx, key)
		case strings.HasPrefix(key, store.InboxPrefix):
			err = d.enqueue(ctx, e)
		}
		if plan.IsWaitingLimit(err) {
			d.Log.Info("dropped file waits for room among its user's predictions")
			continue
		}
		if err != nil {
			return err
		}
	}
	if d.Wake != nil {
		d.Wake()
	}
	return nil
}

// enqueue records a dropped file for the user whose folder it lies in: inbox/<subject>/<name>.
func (d *QueueHandler) enqueue(ctx context.Context, e store.ObjectEvent) error {
	subject, name, ok := strings.Cut(strings.TrimPrefix(e.Key, store.InboxPrefix), "/")
	if !ok || subject == "" || name == "" {
		return fmt.Errorf("dropped file: key is not %s<user>/<name>", store.InboxPrefix)
	}
	user, err := d.Store.EnsureUser(ctx, subject)
	if errors.Is(err, store.ErrAccountDeleted) {
		d.Log.Warn("file dropped for an account that was deleted")
		return nil
	}
	if err != nil {
		return fmt.Errorf("dropped file: %w", err)
	}
	p, created, err := d.Store.EnqueueObject(ctx, store.NewObject{
		UserID: user.ID, Bucket: e.Bucket, Key: e.Key, Version: e.Version, ETag: e.ETag, Bytes: e.Bytes,
		Filename: wire.CleanFilename(path.Base(name)),
	})
	if err != nil {
		return fmt.Errorf("dropped file: %w", err)
	}
	d.Log.Info("file dropped", "prediction_id", p.ID, "created", created)
	return nil
}

// completeByEvent does it for an event of the bucket. A file that no link was made for is ignored, and one that was
// completed needs nothing, whatever became of its prediction. While its user has too many waiting it is postponed.
func (d *QueueHandler) completeByEvent(ctx context.Context, key string) error {
	id, ok := store.DirectUpload(key)
	if !ok {
		return nil
	}
	l, err := d.Store.LinkOfObject(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		d.Log.Warn("file without an upload link")
		return nil
	}
	if err == nil && l.Prediction == uuid.Nil {
		_, err = plan.CompleteLink(ctx, d.Store, d.Objects, l)
	}
	if plan.IsWaitingLimit(err) {
		err = d.Store.PostponeUploadLink(ctx, id, true)
	}
	if err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	return nil
}
