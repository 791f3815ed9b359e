package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

const (
	recordTimeout      = 5 * time.Second // for recording the end of a claim
	postponeMin        = time.Second     // first pause before a retry, and up to half as much jitter
	outagePostponeMax  = 8 * time.Second // longest pause between retries in an outage
	refusedPostponeMax = time.Hour       // longest pause between retries while the store refuses only this part's objects
	postponeMax        = 24 * time.Hour  // default of Config.PostponeMax
	damagedPatience    = time.Minute     // for bytes that differ from their digest, before what can be made anew is
	modelPostponeMax   = time.Minute     // longest pause between retries while the model cannot be had
)

// Errors of objects which parts stored for the last step.
var (
	errPartObjectsGone    = errors.New("objects of parts are gone")
	errPartObjectsDamaged = errors.New("objects of parts are damaged")
)

// asPartObjectsLost wraps an error that means a missing, replaced or damaged part object in the error for it.
func asPartObjectsLost(err error) error {
	switch {
	case errors.Is(err, objects.ErrDamaged):
		return fmt.Errorf("%w: %w", errPartObjectsDamaged, err)
	case errors.Is(err, store.ErrNotFound) || errors.Is(err, objects.ErrChanged):
		return fmt.Errorf("%w: %w", errPartObjectsGone, err)
	}
	return err
}

// staysDamaged reports whether a claim has been postponed, for what the object store does to its objects, for so long that
// bytes which are still damaged are so on the disk and not on the way.
func staysDamaged(c *store.Claim) bool { return c.Refused && c.Postponed >= damagedPatience }

// retryUntilStored calls f, which records the end of a claim, until the database is available: without the record an
// outage would cost the part an attempt. Once ctx has ended f is called only once.
func (w *Worker) retryUntilStored(ctx context.Context, f func(context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		err := f(once)
		cancel()
		if !store.Unavailable(err) || ctx.Err() != nil {
			return err
		}
		w.backOff(ctx)
	}
}

// classify distinguishes an outage, a refusal of one object, and a fault of the part. A refused or missing object may be
// the first sign of an outage, so the object store is probed with the same credentials: if the probe fails, it is one.
func (w *Worker) classify(ctx context.Context, err error) store.Fault {
	fault := store.FaultOf(err)
	if fault == store.FaultNone && unexplainedObjectError(err) {
		fault = store.FaultRefused
	}
	gone := errors.Is(err, store.ErrNotFound) || errors.Is(err, objects.ErrChanged)
	if fault != store.FaultRefused && !gone {
		return fault
	}
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if probeErr := store.PingObjects(once, w.objects); probeErr != nil {
		w.log.Warn("object store unavailable", "error", probeErr)
		return store.FaultOutage
	}
	return fault
}

// unexplainedObjectError reports whether reading or writing an object failed for a reason without a published code.
func unexplainedObjectError(err error) bool {
	var at *stageError
	return errors.As(err, &at) && (at.stage == stageRead || at.stage == stageWrite) && storefault.Explain(err).Code == fault.CodeInternal
}

// isHeldUp reports whether a fault is that of a claim's own objects, so that it is worth another attempt later.
func isHeldUp(f store.Fault) bool { return f == store.FaultRefused || f == store.FaultDamaged }

// holdUpReason returns the result, the reason for the customer, and the failure in the end, of a claim that is held up.
func holdUpReason(kind store.Fault, err error) (result, reason string, end *fault.Failure) {
	if kind == store.FaultDamaged {
		return metrics.AttemptDamaged, "waiting: stored bytes of the file are damaged; they are read again", storefault.ObjectFailure(err)
	}
	end = storefault.ObjectRefused(err)
	return metrics.AttemptRefused, "waiting: " + end.Text(), end
}

// recordEnd releases, postpones, restarts or fails a claim, depending on err. It returns the result as a metrics label, and
// the error of recording it.
func (w *Worker) recordEnd(ctx context.Context, c *store.Claim, err error) (result string, recordErr error) {
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return metrics.AttemptLost, nil
	case errors.Is(err, errDrained):
		return metrics.AttemptReleased, w.retryUntilStored(ctx, func(ctx context.Context) error { return w.ledger.ReleasePart(ctx, c) })
	}
	var missing *plan.MissingModelError
	if errors.As(err, &missing) { // it may come back at any time, and no attempt is charged for it
		return metrics.AttemptNoModel, w.postpone(ctx, c, store.Postponement{
			Wait: postponeBackoff(c, false, modelPostponeMax), Reason: "waiting for its model, which is " + missing.Result,
			NoModel: true,
		})
	}
	kind := w.classify(ctx, err)
	switch {
	case kind == store.FaultOutage:
		return metrics.AttemptPostponed, w.postpone(ctx, c, store.Postponement{
			Wait: postponeBackoff(c, false, outagePostponeMax), Reason: "waiting for the storage to come back",
		})
	case isHeldUp(kind) && !(errors.Is(err, errPartObjectsDamaged) && staysDamaged(c)):
		result, reason, end := holdUpReason(kind, err)
		if c.Refused && c.Postponed >= w.config.PostponeMax {
			f := failureOf(c, end)
			f.Permanent = true
			return metrics.AttemptFailed, w.fail(ctx, c, f)
		}
		p := store.Postponement{Wait: postponeBackoff(c, true, refusedPostponeMax), Reason: reason, Refused: true}
		if c.Refused {
			p.Wait = min(p.Wait, w.config.PostponeMax-c.Postponed) // the last attempt is not after PostponeMax
		}
		return result, w.postpone(ctx, c, p)
	case errors.Is(err, errPartObjectsGone), errors.Is(err, errPartObjectsDamaged):
		if errors.Is(err, errPartObjectsGone) {
			w.metrics.ObjectGone(metrics.GonePart)
		}
		f := failureOf(c, err)
		return metrics.AttemptRestarted, w.retryUntilStored(ctx, func(ctx context.Context) error { return w.ledger.Restart(ctx, c, f) })
	}
	if errors.Is(err, store.ErrNotFound) {
		w.metrics.ObjectGone(metrics.GoneUpload)
	}
	return metrics.AttemptFailed, w.fail(ctx, c, failureOf(c, err))
}

func (w *Worker) postpone(ctx context.Context, c *store.Claim, p store.Postponement) error {
	return w.retryUntilStored(ctx, func(ctx context.Context) error { return w.ledger.PostponePart(ctx, c, p) })
}

func (w *Worker) fail(ctx context.Context, c *store.Claim, f store.Failure) error {
	return w.retryUntilStored(ctx, func(ctx context.Context) error { return w.ledger.FailPart(ctx, c, f) })
}

// postponeBackoff returns an exponential backoff with jitter: the time that the claim has been postponed for the same
// reason, within postponeMin and longest, and up to half as much more.
func postponeBackoff(c *store.Claim, refused bool, longest time.Duration) time.Duration {
	var since time.Duration
	if c.Refused == refused {
		since = c.Postponed
	}
	d := min(max(since, postponeMin), longest)
	return d + rand.N(d/2)
}

// recordFailure records, counts and logs a claim that did not succeed, and returns the result as a metrics label. ctx may
// have ended already.
func (w *Worker) recordFailure(ctx context.Context, c *store.Claim, err error) string {
	result, recordErr := w.recordEnd(ctx, c, err)
	if errors.Is(recordErr, store.ErrLeaseLost) {
		result = metrics.AttemptLost // another worker has claimed or committed the part
	}
	if result == metrics.AttemptLost {
		w.acquit(ctx, c)
	}
	m := w.metricsOf(c)
	m.PartDone(result, 0)
	var stage *stageError
	if result == metrics.AttemptLost && errors.As(err, &stage) { // else the renewal found out, before anything was written
		m.Fenced()
	}
	var accounting *engine.AccountingError
	if errors.As(err, &accounting) || errors.Is(err, store.ErrAccounting) {
		m.AccountingMismatch()
	}
	w.log.Warn("part given up", "prediction_id", c.PublicID, "part", c.Part.No, "attempt", c.Attempt,
		"result", result, "error", err)
	if recordErr != nil && !errors.Is(recordErr, store.ErrLeaseLost) {
		w.log.Error("record failed attempt", "prediction_id", c.PublicID, "part", c.Part.No, "error", recordErr)
	}
	if recordErr == nil && (result == metrics.AttemptFailed || result == metrics.AttemptRestarted) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		w.observeEnd(ctx, c, nil)
	}
	return result
}

// failureOf converts an error into the one that the prediction stores. A fault of the file is permanent: it is not retried.
func failureOf(c *store.Claim, err error) store.Failure {
	code := fault.CodePredictionFailed
	stage := stageScore
	var at *stageError
	if errors.As(err, &at) {
		stage = at.stage
	}
	switch stage {
	case stageRead, stageWrite:
		code = fault.CodeObjectStore
	case stageCommit, stageFinish:
		code = fault.CodeDatabase
	}
	f := storefault.ExplainAs(code, err)
	switch {
	case errors.Is(err, errPartObjectsGone):
		f = fault.Fail(fault.CodeGone, "").Because(err)
	case errors.Is(err, store.ErrNotFound) && strings.HasPrefix(c.ObjectKey, objects.InboxPrefix):
		f = fault.Fail(fault.CodeObjectUnreadable, "").Because(err)
	case errors.Is(err, store.ErrNotFound):
		f = fault.Fail(fault.CodeGone, "").Because(err)
	}
	details, _ := json.Marshal(f.Details)
	kept := new(fileError)
	errors.As(err, &kept)
	return store.Failure{
		Code: f.Code.String(), Stage: stage, Message: f.Text(), Details: details,
		Permanent:  f.Code != fault.CodePredictionFailed && f.Code.Status() < 500,
		RejectsKey: kept.rejects.Key, RejectsBytes: kept.rejects.Bytes,
		RejectsDigest: kept.rejects.Digest, RejectsSHA256: knownSHA256(kept.rejects),
	}
}
