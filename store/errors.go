package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
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

// StorageFull says that the disk of the database or of the object store has no room.
func StorageFull(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, ErrStorageFull) || errors.As(err, &pg) && pg.Code == "53100"
}

// Unavailable says that an error is the absence of a dependency, not a fault of what was asked: the same call may work
// later, and nobody's attempt should be charged for it.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	var refused *refusedError
	if StorageFull(err) || errors.As(err, &refused) || errors.Is(err, ErrInterrupted) ||
		errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return unavailableState(pg.Code)
	}
	var network *net.OpError
	var connect *pgconn.ConnectError
	if errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err) {
		return true
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// unavailableState knows the SQLSTATE classes of an absent, full, ending or just starting server, of one that gave a
// transaction up because it heard nothing of us (we send as soon as it answers), and of conflicts between transactions.
func unavailableState(code string) bool {
	for _, class := range []string{"08", "25P03", "53", "57P", "58", "40"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}
