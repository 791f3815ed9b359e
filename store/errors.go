package store

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrStorageFull says that the disk of the database or of the object store has no room.
	ErrStorageFull = errors.New("storage full")
	// ErrInterrupted says that an object could not be read to its end, again and again.
	ErrInterrupted = errors.New("connection broke")
)

func storageFull(err error) error {
	if diskFull(err) {
		return fmt.Errorf("%w: %w", ErrStorageFull, err)
	}
	return err
}

// StorageFull says that the disk of the database or of the object store has no room.
func StorageFull(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, ErrStorageFull) || errors.As(err, &pg) && pg.Code == "53100"
}

// Unavailable says that an error is the absence of a dependency, not a fault of what was asked: the same call may work
// later, and nobody's attempt should be charged for it.
func Unavailable(err error) bool { return FaultOf(err) == FaultOutage }
