package objects

import (
	"errors"
	"fmt"
)

// Errors of object stores that callers branch on.
var (
	// ErrNotFound means that there is no such object.
	ErrNotFound = errors.New("not found")
	// ErrStorageFull means that the disk of the object store is full.
	ErrStorageFull = errors.New("storage full")
	// ErrInterrupted means that reads of an object broke off again and again.
	ErrInterrupted = errors.New("connection broke")
)

// storageFull wraps an error of a full disk in [ErrStorageFull].
func storageFull(err error) error {
	if diskFull(err) {
		return fmt.Errorf("%w: %w", ErrStorageFull, err)
	}
	return err
}
