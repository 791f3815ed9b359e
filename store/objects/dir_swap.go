package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// lockFile is locked while an object is replaced on a condition. It stays.
const lockFile = ".lock"

// PutIf implements [Store]. Processes that share the directory wait for one another.
func (d *directory) PutIf(ctx context.Context, key string, r io.Reader, etag string) (Info, error) {
	info, err := d.putIf(ctx, key, r, etag)
	if err != nil {
		return Info{}, fmt.Errorf("put object: %w", storageFull(err))
	}
	return info, nil
}

func (d *directory) putIf(ctx context.Context, key string, r io.Reader, etag string) (_ Info, err error) {
	if err := checkKey(key); err != nil {
		return Info{}, err
	}
	lock, err := d.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Info{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := lockExclusively(lock); err != nil {
		return Info{}, fmt.Errorf("lock: %w", err)
	}
	have := ""
	file, info, err := d.open(ctx, key)
	switch {
	case err == nil:
		have, err = info.ETag, file.Close()
	case errors.Is(err, ErrNotFound):
		err = nil
	}
	if err == nil && have != etag {
		err = ErrChanged
	}
	if err != nil {
		return Info{}, err
	}
	return d.put(ctx, key, r, nil)
}
