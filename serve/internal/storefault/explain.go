// Package storefault maps any error, those of the store among them, to a failure with a published code. It is apart from
// fault, so that programs without a server use the codes and link no database, object store or queue.
package storefault

import (
	"errors"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/models"
	"github.com/retainwise/millrace/store/objects"
)

// codesOfErrors maps errors without details to their code.
var codesOfErrors = [...]struct {
	err  error
	code fault.Code
}{
	{store.ErrNotFound, fault.CodePredictionNotFound},
	{store.ErrConflict, fault.CodeWrongState},
	{store.ErrAccountDeleted, fault.CodeInvalidToken},
	{store.ErrAccounting, fault.CodeAccountingBroken},
	{models.ErrWithdrawn, fault.CodeModelWithdrawn},
	{models.ErrRetired, fault.CodeModelRetired},
	{objects.ErrDamaged, fault.CodeObjectStore},
	{objects.ErrChanged, fault.CodeObjectChanged},
}

// Explain maps any error to a failure with a published code and a sentence for the customer. An error that it does not
// know becomes CodeInternal; its text is the cause and is only logged.
func Explain(err error) *fault.Failure {
	var known *fault.Failure
	var waiting *store.WaitingError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &waiting):
		return explainWaiting(waiting)
	case store.StorageFull(err):
		return fault.Fail(fault.CodeStorageFull, "").Because(err)
	}
	if f := fault.OfFile(err); f != nil {
		return f
	}
	for _, p := range codesOfErrors {
		if errors.Is(err, p.err) {
			return fault.Fail(p.code, "").Because(err)
		}
	}
	return fault.ExplainLocal(err)
}

// CodeOf returns the published code of any error.
func CodeOf(err error) fault.Code { return Explain(err).Code }

// ErrorLine formats an error as one line for a terminal, as [fault.Failure.Line] does.
func ErrorLine(err error) string { return Explain(err).Line(err) }

// ExplainAs is [Explain] with code in place of CodeInternal for an unknown error: the code of the dependency that returned
// it. A defect of the program stays CodeInternal.
func ExplainAs(code fault.Code, err error) *fault.Failure {
	f := Explain(err)
	if f.Code == fault.CodeInternal && store.FaultOf(err) != store.FaultInternal {
		f.Code = code
	}
	return f
}

// ObjectFailure is [Explain] for an error of the object store. A recorded object that is missing is a fault of the service,
// not of the customer.
func ObjectFailure(err error) *fault.Failure {
	if errors.Is(err, store.ErrNotFound) {
		return fault.Fail(fault.CodeObjectStore, "").Because(err)
	}
	return ExplainAs(fault.CodeObjectStore, err)
}

// ObjectRefused is the failure of one object that the store refuses while it gives others.
func ObjectRefused(err error) *fault.Failure {
	f := fault.Fail(fault.CodeObjectRefused, "").Because(err)
	if why := store.Refusal(err); why != "" {
		f.Message = "The file storage refuses this file: " + why + "."
	}
	return f
}

// waitingRetry is the Retry-After of a user with too many waiting predictions.
const waitingRetry = 30 * time.Second

func explainWaiting(e *store.WaitingError) *fault.Failure {
	f := fault.Fail(fault.CodeTooManyWaiting, "You have "+fault.GroupedText(int64(e.Max))+" predictions waiting, the most that "+
		"one account may have. Wait until some are finished.").
		With(fault.Details{"limit": e.Max, "unit": "predictions"}).Because(e)
	f.RetryAfter = waitingRetry
	return f
}
