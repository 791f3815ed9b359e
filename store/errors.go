package store

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/retainwise/millrace/store/objects"
)

// Errors that callers branch on.
var (
	// ErrNotFound says that there is no such row, or that it is not the user's. It is the error of a missing object, too.
	ErrNotFound = objects.ErrNotFound
	// ErrLeaseLost says that a worker's claim is void: the lease ran out and another worker has the part, or the
	// prediction was cancelled or retried. Nothing was changed.
	ErrLeaseLost = errors.New("lease lost")
	// ErrConflict says that the state of the thing does not allow what was asked.
	ErrConflict = errors.New("not possible in this state")
	// ErrAccounting says that scored and rejected rows do not add up to the rows of the part. Nothing was changed.
	ErrAccounting = errors.New("rows do not add up")
)

// StorageFull says that the disk of the database or of the object store has no room.
func StorageFull(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, objects.ErrStorageFull) || errors.As(err, &pg) && pg.Code == "53100"
}

// Unavailable says that an error is the absence of a dependency, not a fault of what was asked: the same call may work
// later, and nobody's attempt should be charged for it.
func Unavailable(err error) bool { return FaultOf(err) == FaultOutage }

// conflict translates a broken unique constraint.
func conflict(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return fmt.Errorf("%w: %s exists", ErrConflict, pg.ConstraintName)
	}
	return err
}

// requireRow returns ErrLeaseLost if the statement, which names the epoch of a claim, affected no row.
func requireRow(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		return ErrLeaseLost
	}
	return err
}

// notFound translates pgx's error for an empty result.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
