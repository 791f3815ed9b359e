package store

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/retainwise/millrace/store/objects"
)

// Objects gives the object store as the rest of the program uses it: it deletes only below our own folders, only while
// database and store agree, and logs each deletion with its reason. It writes nothing once a check has found that the
// store is another installation's; that is [ErrNotOwner].
func (w *Owner) Objects() objects.Store {
	if p, ok := w.objects.(objects.Presigner); ok {
		return guardedBucket{guarded{w.objects, w}, p}
	}
	return guarded{w.objects, w}
}

// guarded asks the owner before it deletes.
type guarded struct {
	objects.Store
	owner *Owner
}

// guardedBucket is one that others can be let put into.
type guardedBucket struct {
	guarded
	objects.Presigner
}

// Put implements [objects.Store].
func (g guarded) Put(ctx context.Context, key string, r io.Reader) (objects.Info, error) {
	if err := g.owner.mayWrite(); err != nil {
		return objects.Info{}, fmt.Errorf("put object: %w", err)
	}
	return g.Store.Put(ctx, key, r)
}

// Compose implements [objects.Store].
func (g guarded) Compose(ctx context.Context, dst string, parts []string) (objects.Info, error) {
	if err := g.owner.mayWrite(); err != nil {
		return objects.Info{}, fmt.Errorf("compose object: %w", err)
	}
	return g.Store.Compose(ctx, dst, parts)
}

func (g guarded) reach(ctx context.Context) error { return g.owner.reach(ctx) }

// PresignPut implements [objects.Presigner].
func (g guardedBucket) PresignPut(
	ctx context.Context, key string, size int64, life time.Duration,
) (objects.PresignedPut, error) {
	if err := g.owner.mayWrite(); err != nil {
		return objects.PresignedPut{}, fmt.Errorf("presign: %w", err)
	}
	return g.Presigner.PresignPut(ctx, key, size, life)
}

// What is deleted between two looks at the marks, and what one line of the log names.
const (
	deletedAtOnce = 1000
	loggedAtOnce  = 50
)

// Delete implements [objects.Store].
func (g guarded) Delete(ctx context.Context, why objects.Reason, keys ...string) error {
	for _, key := range keys {
		if !objects.Deletable(key) {
			return objects.ErrKey
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), deletedAtOnce)
		if err := g.owner.may(ctx); err != nil {
			return err
		}
		if err := g.Store.Delete(ctx, why, keys[:n]...); err != nil {
			return err
		}
		g.owner.sayDeleted(why, keys[:n]...)
		keys = keys[n:]
	}
	return nil
}

// Sweep implements [objects.Store].
func (g guarded) Sweep(ctx context.Context, age time.Duration, may func(string) error) (int, error) {
	asked := 0
	return g.Store.Sweep(ctx, age, func(key string) error {
		if may != nil {
			if err := may(key); err != nil {
				return err
			}
		}
		if asked++; asked%deletedAtOnce == 1 {
			if err := g.owner.may(ctx); err != nil {
				return err
			}
		}
		g.owner.sayDeleted(objects.Interrupted, key)
		return nil
	})
}

// sayDeleted logs keys, which are made of ids; a file that somebody dropped is named by its folder only.
func (w *Owner) sayDeleted(why objects.Reason, keys ...string) {
	for len(keys) > 0 {
		n := min(len(keys), loggedAtOnce)
		names := make([]string, n)
		for i, key := range keys[:n] {
			names[i] = objects.Loggable(key)
		}
		w.log.Info("deleted", "reason", string(why), "objects", names)
		keys = keys[n:]
	}
}
