package store

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Objects gives the object store as the rest of the program uses it: it deletes only below our own folders, only while
// database and store agree, and logs each deletion with its reason. It writes nothing once a check has found that the
// store is another installation's; that is [ErrNotOwner].
func (w *Owner) Objects() Objects {
	if p, ok := w.objects.(Presigner); ok {
		return guardedBucket{guarded{w.objects, w}, p}
	}
	return guarded{w.objects, w}
}

// guarded asks the owner before it deletes.
type guarded struct {
	Objects
	owner *Owner
}

// guardedBucket is one that others can be let put into.
type guardedBucket struct {
	guarded
	Presigner
}

// Put implements [Objects].
func (g guarded) Put(ctx context.Context, key string, r io.Reader) (ObjectInfo, error) {
	if err := g.owner.mayWrite(); err != nil {
		return ObjectInfo{}, fmt.Errorf("put object: %w", err)
	}
	return g.Objects.Put(ctx, key, r)
}

// Compose implements [Objects].
func (g guarded) Compose(ctx context.Context, dst string, parts []string) (ObjectInfo, error) {
	if err := g.owner.mayWrite(); err != nil {
		return ObjectInfo{}, fmt.Errorf("compose object: %w", err)
	}
	return g.Objects.Compose(ctx, dst, parts)
}

func (g guarded) reach(ctx context.Context) error { return g.owner.reach(ctx) }

// PresignPut implements [Presigner].
func (g guardedBucket) PresignPut(
	ctx context.Context, key string, size int64, life time.Duration,
) (PresignedPut, error) {
	if err := g.owner.mayWrite(); err != nil {
		return PresignedPut{}, fmt.Errorf("presign: %w", err)
	}
	return g.Presigner.PresignPut(ctx, key, size, life)
}

// What is deleted between two looks at the marks, and what one line of the log names.
const (
	deletedAtOnce = 1000
	loggedAtOnce  = 50
)

// Delete implements [Objects].
func (g guarded) Delete(ctx context.Context, why Reason, keys ...string) error {
	for _, key := range keys {
		if !deletable(key) {
			return ErrKey
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), deletedAtOnce)
		if err := g.owner.may(ctx); err != nil {
			return err
		}
		if err := g.Objects.Delete(ctx, why, keys[:n]...); err != nil {
			return err
		}
		g.owner.sayDeleted(why, keys[:n]...)
		keys = keys[n:]
	}
	return nil
}

// Sweep implements [Objects].
func (g guarded) Sweep(ctx context.Context, age time.Duration, may func(string) error) (int, error) {
	asked := 0
	return g.Objects.Sweep(ctx, age, func(key string) error {
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
		g.owner.sayDeleted(Interrupted, key)
		return nil
	})
}

// sayDeleted logs keys, which are made of ids; a file that somebody dropped is named by its folder only.
func (w *Owner) sayDeleted(why Reason, keys ...string) {
	for len(keys) > 0 {
		n := min(len(keys), loggedAtOnce)
		names := make([]string, n)
		for i, key := range keys[:n] {
			names[i] = loggable(key)
		}
		w.log.Info("deleted", "reason", string(why), "objects", names)
		keys = keys[n:]
	}
}
