package store

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrStorageFull says that the disk of the database or of the object store has no room.
var ErrStorageFull = errors.New("storage full")

func storageFull(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrStorageFull, err)
	}
	return err
}

// Unavailable says that an error is the absence of a dependency, not a fault of what was asked: the same call may work
// later, and nobody's attempt should be charged for it.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrStorageFull) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return unavailableState(pg.Code)
	}
	var network net.Error
	var connect *pgconn.ConnectError
	if errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err) {
		return true
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// unavailableState knows the SQLSTATE classes of an absent, full, ending or just starting server, and of conflicts
// between transactions.
func unavailableState(code string) bool {
	for _, class := range []string{"08", "53", "57P", "58", "40"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}
