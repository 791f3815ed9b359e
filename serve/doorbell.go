package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"github.com/retainwise/millrace/store"
)

// doorbell turns what comes from outside into work: messages of a queue about predictions that wait and about files
// that others dropped. PostgreSQL stays the truth: a message that comes twice, late or never changes nothing.
type doorbell struct {
	store   *store.Store
	objects store.Objects
	bucket  string // events of other buckets are none of ours
	ring    func() // wakes this process's worker; nil if it has none
	log     *slog.Logger
}

// handle is called for each message; an error leaves the message in the queue.
func (d *doorbell) handle(ctx context.Context, n store.Notice) error {
	for _, e := range n.Objects {
		if e.Bucket == d.bucket && strings.HasPrefix(e.Key, store.DirectPrefix) {
			if err := d.completeByEvent(ctx, e.Key); err != nil {
				return err
			}
			continue
		}
		if e.Bucket != d.bucket || !strings.HasPrefix(e.Key, store.InboxPrefix) {
			continue // our own uploads and results raise events too
		}
		err := d.enqueue(ctx, e)
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

const (
	sweepInterval        = 30 * time.Second
	sweepAge             = 30 * time.Second // a prediction that waits longer is rung for again
	objectsSweepInterval = time.Hour        // listing costs money, and what it looks for is a day old
	temporaryAge         = 24 * time.Hour
)

// sweep heals what a crash left: predictions that nobody was told of, and old temporary objects. It also forgets
// idempotency keys whose time is over. Every worker does this, so the times are spread.
func sweep(ctx context.Context, s *store.Store, o store.Objects, log *slog.Logger) {
	objectsAt := time.Now().Add(rand.N(objectsSweepInterval))
	for ctx.Err() == nil {
		if _, err := s.Sweep(ctx, sweepAge); err != nil && ctx.Err() == nil {
			log.Warn("sweep", "error", err)
		}
		if err := s.SweepKeys(ctx); err != nil && ctx.Err() == nil {
			log.Warn("sweep keys", "error", err)
		}
		if err := s.SweepBudgets(ctx); err != nil && ctx.Err() == nil {
			log.Warn("sweep budgets", "error", err)
		}
		sweepDeletions(ctx, s, o, log)
		if err := sweepUploadLinks(ctx, s, o); err != nil && ctx.Err() == nil {
			log.Warn("sweep upload links", "error", err)
		}
		if time.Now().After(objectsAt) {
			if _, err := o.Sweep(ctx, temporaryAge); err != nil && ctx.Err() == nil {
				log.Warn("sweep objects", "error", err)
			}
			objectsAt = objectsAt.Add(objectsSweepInterval)
		}
		pause(ctx, sweepInterval/2+rand.N(sweepInterval))
	}
}
