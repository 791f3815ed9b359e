package store

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// StorageFull says that the disk of the database or of the object store has no room.
func StorageFull(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, ErrStorageFull) || errors.As(err, &pg) && pg.Code == "53100"
}

// Unavailable says that an error is the absence of a dependency, not a fault of what was asked: the same call may work
// later, and nobody's attempt should be charged for it.
func Unavailable(err error) bool { return FaultOf(err) == FaultOutage }
