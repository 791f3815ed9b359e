package store

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/retainwise/millrace/store/awsclient"
	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/internal/database"
	"github.com/retainwise/millrace/store/objects"
)

// Fault classifies an error of PostgreSQL, S3, SQS or the file system by its cause, which is never a customer's file.
type Fault int

// The faults. The zero value is that of errors that do not come from a dependency, and of those that callers branch on:
// [ErrNotFound], [objects.ErrChanged], [ErrLeaseLost] and the like.
const (
	FaultNone Fault = iota
	// FaultOutage is the operator's or a provider's: the same call may work later, and no attempt is charged for it.
	FaultOutage
	// FaultRefused is one request that an object store refused. [PingObjects] finds out whether it refuses all of them,
	// which makes it an outage.
	FaultRefused
	// FaultInternal is a mistake of this program: the same call will fail again.
	FaultInternal
	// FaultDamaged is one object whose bytes are not those that were written: [objects.ErrDamaged].
	FaultDamaged
)

// postgresFaults is by SQLSTATE or class. What is not in it is an outage: of the connection (08), of rights and names
// that an operator gives (28, 3D, 3F, 42501, 42P01 …), of a server that is full, busy, stopping, read-only, or broken
// (25006, 40, 53, 55, 57, 58, XX), of a pooler that mixes sessions up (26, 42P05).
var postgresFaults = map[string]Fault{
	"00": FaultInternal, "01": FaultInternal, "02": FaultInternal, "03": FaultInternal, "09": FaultInternal, "0B": FaultInternal,
	"0F": FaultInternal, "0L": FaultInternal, "0P": FaultInternal, "0Z": FaultInternal, "20": FaultInternal, "21": FaultInternal,
	"22": FaultInternal, "23": FaultInternal, "24": FaultInternal, "25": FaultInternal, "27": FaultInternal, "2B": FaultInternal,
	"2D": FaultInternal, "2F": FaultInternal, "34": FaultInternal, "3B": FaultInternal, "42": FaultInternal, "44": FaultInternal,
	"54": FaultInternal, "P0": FaultInternal,

	database.ReadOnlyState: FaultOutage,
	"25P03":                FaultOutage, // idle_in_transaction_session_timeout: an answer was late, as we send at once
	"25P04":                FaultOutage, // transaction_timeout
	"42501":                FaultOutage, // insufficient_privilege
	"42P05":                FaultOutage, // duplicate_prepared_statement
	"42P01":                FaultOutage, // undefined_table: the schema is another version's, as are the three below
	"42703":                FaultOutage, // undefined_column
	"42704":                FaultOutage, // undefined_object
	"42883":                FaultOutage, // undefined_function
}

// s3Faults is by the code of an answer. A code that is not in it is refused, or an outage if its status is above 499.
var s3Faults = map[string]Fault{
	"InternalError":               FaultOutage,
	"ServiceUnavailable":          FaultOutage,
	"SlowDown":                    FaultOutage,
	"RequestTimeout":              FaultOutage,
	"OperationAborted":            FaultOutage,
	"BadDigest":                   FaultOutage, // these three: bytes were lost or changed on the way
	"IncompleteBody":              FaultOutage,
	"XAmzContentSHA256Mismatch":   FaultOutage,
	"XAmzContentChecksumMismatch": FaultOutage,
	"NotImplemented":              FaultRefused,
}

// sqsFaults is by the code of an answer. A code that is not in it is an outage: a queue is for all messages alike.
var sqsFaults = map[string]Fault{
	"BatchEntryIdsNotDistinct":     FaultInternal,
	"BatchRequestTooLong":          FaultInternal,
	"EmptyBatchRequest":            FaultInternal,
	"InvalidAttributeName":         FaultInternal,
	"InvalidAttributeValue":        FaultInternal,
	"InvalidBatchEntryId":          FaultInternal,
	"InvalidIdFormat":              FaultInternal,
	"InvalidMessageContents":       FaultInternal,
	"InvalidParameterValue":        FaultInternal,
	"MessageNotInflight":           FaultInternal,
	"MissingParameter":             FaultInternal,
	"ReceiptHandleIsInvalid":       FaultInternal,
	"TooManyEntriesInBatchRequest": FaultInternal,
	"UnsupportedOperation":         FaultInternal,
}

// fileFaults is by the error of a system call. One that is not in it (EACCES, EIO, ELOOP …) may be that of one file.
var fileFaults = map[syscall.Errno]Fault{
	syscall.EAGAIN:       FaultOutage,
	syscall.EBUSY:        FaultOutage,
	syscall.EDQUOT:       FaultOutage,
	syscall.EINTR:        FaultOutage,
	syscall.EMFILE:       FaultOutage,
	syscall.ENFILE:       FaultOutage,
	syscall.ENODEV:       FaultOutage,
	syscall.ENOLCK:       FaultOutage,
	syscall.ENOMEM:       FaultOutage,
	syscall.ENOSPC:       FaultOutage,
	syscall.ENXIO:        FaultOutage,
	syscall.EROFS:        FaultOutage,
	syscall.ESTALE:       FaultOutage,
	syscall.ETIMEDOUT:    FaultOutage,
	syscall.EBADF:        FaultInternal,
	syscall.EFAULT:       FaultInternal,
	syscall.EINVAL:       FaultInternal,
	syscall.ENAMETOOLONG: FaultInternal,
}

// callerErrors are the errors that callers branch on, even if they wrap an error of a dependency.
var callerErrors = []error{
	ErrNotFound, objects.ErrChanged, objects.ErrRange, objects.ErrKey, ErrLeaseLost, ErrConflict, ErrAccounting,
}

// FaultOf classifies an error; nil is [FaultNone].
func FaultOf(err error) Fault {
	if err == nil {
		return FaultNone
	}
	for _, known := range callerErrors {
		if errors.Is(err, known) {
			return FaultNone
		}
	}
	if errors.Is(err, objects.ErrDamaged) {
		return FaultDamaged
	}
	var refused *circuit.OpenError
	if errors.Is(err, objects.ErrStorageFull) || errors.Is(err, objects.ErrInterrupted) || errors.Is(err, ErrNotOwner) ||
		errors.As(err, &refused) {
		return FaultOutage
	}
	var pg *pgconn.PgError
	var operation *smithy.OperationError
	var number syscall.Errno
	switch {
	case errors.As(err, &pg):
		return postgresFault(pg.Code)
	case errors.Is(err, context.Canceled): // by this process
		return FaultNone
	case errors.Is(err, context.DeadlineExceeded):
		return FaultOutage
	case errors.As(err, &operation):
		return awsFault(operation)
	case connectFailed(err):
		return FaultOutage
	case errors.As(err, &number):
		return fileFault(number)
	}
	return FaultNone
}

func postgresFault(state string) Fault {
	if f, known := postgresFaults[state]; known {
		return f
	}
	if f, known := postgresFaults[state[:min(2, len(state))]]; known {
		return f
	}
	return FaultOutage
}

// awsFault classifies the answer to a call. Without an answer it is an outage: of the server, the network, or the source
// of credentials.
func awsFault(err *smithy.OperationError) Fault {
	status := awsclient.Status(err)
	code := awsclient.Code(err)
	if err.ServiceID == "SQS" {
		if f, known := sqsFaults[code]; known {
			return f
		}
		return FaultOutage
	}
	if f, known := s3Faults[code]; known {
		return f
	}
	if status == 0 || status >= http.StatusInternalServerError ||
		retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary {
		return FaultOutage
	}
	return FaultRefused
}

// connectFailed reports whether PostgreSQL could not be connected to or the connection to it broke.
func connectFailed(err error) bool {
	var network *net.OpError
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err)
}

func fileFault(number syscall.Errno) Fault {
	if f, known := fileFaults[number]; known {
		return f
	}
	return FaultRefused
}

// Refusal returns the error code with which an object store refused a request, as "AccessDenied" or "input/output error";
// empty if it gave none. It holds neither keys nor names.
func Refusal(err error) string {
	var number syscall.Errno
	text := awsclient.Code(err)
	if text == "" && errors.As(err, &number) {
		return number.Error()
	}
	if len(text) > refusalMax || strings.ContainsFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) {
		return ""
	}
	return text
}

const refusalMax = 64 // letters and digits; a server may send anything
