package duty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
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
	Files   objects.S3Config   // events of other buckets, and of what is not below its prefix, are set aside
	Wake    func()             // wakes this process's worker; nil without a worker
	Count   func(queue.Reason) // counts what is set aside; nil: it is not counted
	Log     *slog.Logger
}

// Handle handles one message. An error leaves the message in the queue, so that it is delivered again. What another
// delivery cannot change is set aside: logged, counted, and treated as handled.
func (d *QueueHandler) Handle(ctx context.Context, n queue.Notice) error {
	for _, reason := range n.Unclear {
		d.setAside(reason)
	}
	for _, e := range n.Objects {
		reason, err := d.handleObject(ctx, e)
		if plan.IsWaitingLimit(err) {
			d.Log.Info("dropped file postponed: its user has too many waiting predictions")
			continue
		}
		if err != nil {
			return err
		}
		if reason != "" {
			d.setAside(reason)
		}
	}
	if d.Wake != nil {
		d.Wake()
	}
	return nil
}

// setAside logs the reason alone: a key has the name that a customer gave a file.
func (d *QueueHandler) setAside(reason queue.Reason) {
	d.Log.Warn("notice set aside", "reason", string(reason))
	if d.Count != nil {
		d.Count(reason)
	}
}

// handleObject returns why an object's event is set aside; empty if it is not.
func (d *QueueHandler) handleObject(ctx context.Context, e queue.ObjectEvent) (queue.Reason, error) {
	key, ok := d.Files.KeyOf(e.Key)
	switch {
	case !ok || e.Bucket != d.Files.Bucket:
		return queue.OtherBucket, nil
	case strings.HasPrefix(key, objects.DirectPrefix):
		return d.completeByEvent(ctx, key)
	case strings.HasPrefix(key, objects.InboxPrefix):
		return d.enqueue(ctx, key, e.Version)
	}
	return "", nil // inputs and results raise events as well
}

// enqueue records a dropped file for the user of its folder, inbox/<subject>/<name>: the version that was announced, else
// the newest, as the object store describes it. So an event and a list that find the same put record it once.
func (d *QueueHandler) enqueue(ctx context.Context, key, version string) (queue.Reason, error) {
	subject, name, ok := strings.Cut(strings.TrimPrefix(key, objects.InboxPrefix), "/")
	switch {
	case !ok || subject == "":
		return queue.NoUser, nil
	case strings.HasSuffix(key, "/"):
		return queue.FolderMarker, nil
	}
	file, reason, err := d.describe(ctx, key, version)
	if err != nil || reason != "" {
		return reason, err
	}
	user, err := d.Store.Accounts.EnsureUser(ctx, subject)
	if errors.Is(err, store.ErrAccountDeleted) {
		return queue.DeletedAccount, nil
	}
	if err != nil {
		return "", fmt.Errorf("dropped file: %w", err)
	}
	p, created, err := d.Store.Predictions.EnqueueObject(ctx, store.NewObject{
		UserID: user.ID, Bucket: d.Files.Bucket, Key: key, Version: file.Version, ETag: file.ETag, Modified: file.Modified,
		Bytes: file.Bytes, Filename: wire.CleanFilename(path.Base(name)),
	})
	if errors.Is(err, store.ErrNotFound) {
		return queue.DeletedFile, nil
	}
	if err != nil {
		return "", fmt.Errorf("dropped file: %w", err)
	}
	d.Log.Info("file dropped", "prediction_id", p.ID, "created", created)
	return "", nil
}

// describe asks the object store about a dropped file, or returns why there is nothing to score.
func (d *QueueHandler) describe(ctx context.Context, key, version string) (objects.Info, queue.Reason, error) {
	if version == objects.NullVersion { // the newest such put is asked for, as by a list
		version = ""
	}
	file, err := d.Objects.HeadVersion(ctx, key, version)
	switch {
	case errors.Is(err, objects.ErrKey):
		return file, queue.InvalidKey, nil
	case errors.Is(err, store.ErrNotFound):
		if err = store.PingObjects(ctx, d.Objects); err == nil { // a bucket that is missing gives the same answer
			return file, queue.Gone, nil
		}
	}
	if err != nil {
		return file, "", fmt.Errorf("dropped file: %w", err)
	}
	return file, "", nil
}

// completeByEvent completes the upload link of a directly uploaded file. A file without a link is ignored, and so is one
// whose link is complete. While its user has too many waiting predictions the link is postponed.
func (d *QueueHandler) completeByEvent(ctx context.Context, key string) (queue.Reason, error) {
	id, ok := store.DirectUpload(key)
	if !ok {
		return "", nil
	}
	l, err := d.Store.UploadLinks.OfObject(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		d.Log.Warn("file without an upload link")
		return "", nil
	}
	if err == nil && l.Prediction == uuid.Nil {
		_, err = plan.CompleteLink(ctx, d.Store, d.Objects, l)
	}
	if plan.IsWaitingLimit(err) {
		err = d.Store.UploadLinks.Postpone(ctx, id, true)
	}
	switch {
	case err == nil:
		return "", nil
	case storefault.CodeOf(err) == fault.CodeWrongState:
		return queue.Gone, nil
	case storefault.CodeOf(err) == fault.CodeInvalidFile:
		return queue.WrongSize, nil
	}
	return "", fmt.Errorf("complete upload: %w", err)
}
