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
	// ErrNotFound means that there is no such row or object, or that it belongs to another user.
	ErrNotFound = objects.ErrNotFound
	// ErrLeaseLost means that a worker's claim is void: the lease expired and another worker has the part, or the
	// prediction was cancelled or retried. Nothing was changed.
	ErrLeaseLost = errors.New("lease lost")
	// ErrConflict means that the state of the row does not allow the operation.
	ErrConflict = errors.New("not possible in this state")
	// ErrAccounting means that scored and rejected rows do not add up to the rows of the part. Nothing was changed.
	ErrAccounting = errors.New("rows do not add up")
)

// StorageFull reports whether err means that the disk of the database or of the object store is full.
func StorageFull(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, objects.ErrStorageFull) || errors.As(err, &pg) && pg.Code == "53100"
}

// Unavailable reports whether err is an outage of a dependency: the same call may work later, and it must not count as
// an attempt.
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
