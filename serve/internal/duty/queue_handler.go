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
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
)

// QueueHandler handles messages of the queue: notifications of queued predictions, and events of the bucket about dropped
// and directly uploaded files. A message only wakes a worker or records a file; PostgreSQL is the source of truth, so a
// message that is duplicated, late or lost changes nothing.
type QueueHandler struct {
	Store   *store.Store
	Objects objects.Store
	Files   objects.S3Config // events of other buckets, and of what is not below its prefix, are ignored
	Wake    func()           // wakes this process's worker; nil without a worker
	Log     *slog.Logger
}

// Handle handles one message. An error leaves the message in the queue, so that it is delivered again.
func (d *QueueHandler) Handle(ctx context.Context, n queue.Notice) error {
	for _, e := range n.Objects {
		key, ok := d.Files.KeyOf(e.Key)
		if !ok || e.Bucket != d.Files.Bucket {
			continue
		}
		e.Key = key
		var err error
		switch { // inputs and results raise events as well, which are ignored
		case strings.HasPrefix(key, objects.DirectPrefix):
			err = d.completeByEvent(ctx, key)
		case strings.HasPrefix(key, objects.InboxPrefix):
			err = d.enqueue(ctx, e)
		}
		if plan.IsWaitingLimit(err) {
			d.Log.Info("dropped file postponed: its user has too many waiting predictions")
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

// enqueue records a dropped file for the user of its folder: inbox/<subject>/<name>.
func (d *QueueHandler) enqueue(ctx context.Context, e queue.ObjectEvent) error {
	subject, name, ok := strings.Cut(strings.TrimPrefix(e.Key, objects.InboxPrefix), "/")
	if !ok || subject == "" || name == "" {
		return fmt.Errorf("dropped file: key is not %s<user>/<name>", objects.InboxPrefix)
	}
	user, err := d.Store.Accounts.EnsureUser(ctx, subject)
	if errors.Is(err, store.ErrAccountDeleted) {
		d.Log.Warn("file dropped for a deleted account")
		return nil
	}
	if err != nil {
		return fmt.Errorf("dropped file: %w", err)
	}
	p, created, err := d.Store.Predictions.EnqueueObject(ctx, store.NewObject{
		UserID: user.ID, Bucket: e.Bucket, Key: e.Key, Version: e.Version, ETag: e.ETag, Bytes: e.Bytes,
		Filename: wire.CleanFilename(path.Base(name)),
	})
	if err != nil {
		return fmt.Errorf("dropped file: %w", err)
	}
	d.Log.Info("file dropped", "prediction_id", p.ID, "created", created)
	return nil
}

// completeByEvent completes the upload link of a directly uploaded file. A file without a link is ignored, and so is one
// whose link is complete. While its user has too many waiting predictions the link is postponed.
func (d *QueueHandler) completeByEvent(ctx context.Context, key string) error {
	id, ok := store.DirectUpload(key)
	if !ok {
		return nil
	}
	l, err := d.Store.UploadLinks.OfObject(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		d.Log.Warn("file without an upload link")
		return nil
	}
	if err == nil && l.Prediction == uuid.Nil {
		_, err = plan.CompleteLink(ctx, d.Store, d.Objects, l)
	}
	if plan.IsWaitingLimit(err) {
		err = d.Store.UploadLinks.Postpone(ctx, id, true)
	}
	if err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	return nil
}
