package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
)

// doorbell turns what comes from outside into work: messages of a queue about predictions that wait and about files
// that others dropped. PostgreSQL stays the truth: a message that comes twice, late or never changes nothing.
type doorbell struct {
	store   *store.Store
	objects store.Objects
	files   store.S3Config // events of other buckets, and of what is not below its prefix, are none of ours
	ring    func()         // wakes this process's worker; nil if it has none
	log     *slog.Logger
}

// handle is called for each message; an error leaves the message in the queue.
func (d *doorbell) handle(ctx context.Context, n store.Notice) error {
	for _, e := range n.Objects {
		key, ours := d.files.KeyOf(e.Key)
		if !ours || e.Bucket != d.files.Bucket {
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
		if waits(err) {
			d.log.Info("dropped file waits for room among its user's predictions")
			continue
		}
		if err != nil {
			return err
		}
	}
	if d.ring != nil {
		d.ring()
	}
	return nil
}

// enqueue records a dropped file for the user whose folder it lies in: inbox/<subject>/<name>.
func (d *doorbell) enqueue(ctx context.Context, e store.ObjectEvent) error {
	subject, name, ok := strings.Cut(strings.TrimPrefix(e.Key, store.InboxPrefix), "/")
	if !ok || subject == "" || name == "" {
		return fmt.Errorf("dropped file: key is not %s<user>/<name>", store.InboxPrefix)
	}
	user, err := d.store.EnsureUser(ctx, subject)
	if errors.Is(err, store.ErrAccountDeleted) {
		d.log.Warn("file dropped for an account that was deleted")
		return nil
	}
	if err != nil {
		return fmt.Errorf("dropped file: %w", err)
	}
	p, created, err := d.store.EnqueueObject(ctx, store.NewObject{
		UserID: user.ID, Bucket: e.Bucket, Key: e.Key, Version: e.Version, ETag: e.ETag, Bytes: e.Bytes,
		Filename: filenameOf(path.Base(name)),
	})
	if err != nil {
		return fmt.Errorf("dropped file: %w", err)
	}
	d.log.Info("file dropped", "prediction_id", p.ID, "created", created)
	return nil
}

// completeByEvent does it for an event of the bucket. A file that no link was made for is nobody's, and one that was
// completed needs nothing, whatever became of its prediction. While its user has too many waiting it is postponed.
func (d *doorbell) completeByEvent(ctx context.Context, key string) error {
	id, ok := store.DirectUpload(key)
	if !ok {
		return nil
	}
	l, err := d.store.LinkOfObject(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		d.log.Warn("file without an upload link")
		return nil
	}
	if err == nil && l.Prediction == uuid.Nil {
		_, err = completeLink(ctx, d.store, d.objects, l)
	}
	if waits(err) {
		err = d.store.PostponeUploadLink(ctx, id, true)
	}
	if err != nil {
		return fmt.Errorf("complete upload: %w", err)
	}
	return nil
}
