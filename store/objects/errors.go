package objects

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrObjectMissing says that there is no such object.
	ErrNotFound = errors.New("not found")
	// ErrStorageFull says that the disk of the database or of the object store has no room.
	ErrStorageFull = errors.New("storage full")
	// ErrInterrupted says that an object could not be read to its end, again and again.
	ErrInterrupted = errors.New("connection broke")
)

func storageFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrStorageFull, err)
	}
	return err
}
