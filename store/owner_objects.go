package store

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/retainwise/millrace/store/objects"
)

// Objects returns the object store for the rest of the program: it deletes only below [objects.OwnFolders] and the inbox,
// only while the marks agree, and logs each deletion with its reason. It writes nothing once a check has found another
// installation's mark; that is [ErrNotOwner].
func (w *Owner) Objects() objects.Store {
	if p, ok := w.objects.(objects.Presigner); ok {
		return guardedBucket{guarded{w.objects, w}, p}
	}
	return guarded{w.objects, w}
}

// guarded is an object store that checks the marks before it deletes or writes.
type guarded struct {
	objects.Store
	owner *Owner
}

// guardedBucket is a guarded store that can presign puts.
type guardedBucket struct {
	guarded
	objects.Presigner
}

// Put implements [objects.Store].
func (g guarded) Put(ctx context.Context, key string, r io.Reader) (objects.Info, error) {
	if err := g.owner.requireWritable(); err != nil {
		return objects.Info{}, fmt.Errorf("put object: %w", err)
	}
	return g.Store.Put(ctx, key, r)
}

// Compose implements [objects.Store].
func (g guarded) Compose(ctx context.Context, dst string, parts []objects.Source) (objects.Info, error) {
	if err := g.owner.requireWritable(); err != nil {
		return objects.Info{}, fmt.Errorf("compose object: %w", err)
	}
	return g.Store.Compose(ctx, dst, parts)
}

func (g guarded) ping(ctx context.Context) error { return g.owner.ping(ctx) }

// PresignPut implements [objects.Presigner].
func (g guardedBucket) PresignPut(
	ctx context.Context, key string, size int64, life time.Duration,
) (objects.PresignedPut, error) {
	if err := g.owner.requireWritable(); err != nil {
		return objects.PresignedPut{}, fmt.Errorf("presign: %w", err)
	}
	return g.Presigner.PresignPut(ctx, key, size, life)
}

// How many objects are deleted between two checks of the marks, and how many one log line names.
const (
	deleteBatch = 1000
	logBatch    = 50
)

// Delete implements [objects.Store].
func (g guarded) Delete(ctx context.Context, why objects.Reason, keys ...string) error {
	for _, key := range keys {
		if !objects.Deletable(key) {
			return objects.ErrKey
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), deleteBatch)
		if err := g.owner.requireOwned(ctx); err != nil {
			return err
		}
		if err := g.Store.Delete(ctx, why, keys[:n]...); err != nil {
			return err
		}
		g.owner.logDeleted(why, keys[:n]...)
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
		if asked++; asked%deleteBatch == 1 {
			if err := g.owner.requireOwned(ctx); err != nil {
				return err
			}
		}
		g.owner.logDeleted(objects.Interrupted, key)
		return nil
	})
}

// logDeleted logs keys, which are made of ids; a dropped file is named by its folder only.
func (w *Owner) logDeleted(why objects.Reason, keys ...string) {
	for len(keys) > 0 {
		n := min(len(keys), logBatch)
		names := make([]string, n)
		for i, key := range keys[:n] {
			names[i] = objects.Loggable(key)
		}
		w.log.Info("deleted", "reason", string(why), "objects", names)
		keys = keys[n:]
	}
}
