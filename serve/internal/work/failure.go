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
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

const (
	giveUpTime      = 5 * time.Second // for telling the store that a claim failed
	postponeTimeMin = time.Second     // until a part is tried again, and up to half as much more
	outagePauseMax  = 8 * time.Second // between two tries while what a part needs is unavailable
	refusedPauseMax = time.Hour       // while the store refuses this part's objects alone
	postponeMax     = 24 * time.Hour  // the default of how long it may
)

// errPartsGone says that the objects that parts left for the last step are no longer there.
var errPartsGone = errors.New("objects of parts are gone")

// partsGone names the cause of a failure to read what parts have left.
func partsGone(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, objects.ErrChanged) {
		return fmt.Errorf("%w: %w", errPartsGone, err)
	}
	return err
}

// tell calls f until the store has heard it. In an outage there is nothing to claim either, and the attempt would be
// charged if nobody said that it was not the part's fault. Once ctx has ended, it is called once.
func (w *Worker) tell(ctx context.Context, f func(context.Context) error) error {
	for {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
		err := f(once)
		cancel()
		if !store.Unavailable(err) || ctx.Err() != nil {
			return err
		}
		w.rest(ctx)
	}
}

// blame says whose fault an error is. What the object store refused, or does not have, may be the first of all that it
// will refuse: then it is asked for its mark with the same credentials, and one that does not give it is an outage.
func (w *Worker) blame(ctx context.Context, err error) store.Fault {
	fault := store.FaultOf(err)
	if fault == store.FaultNone && unknownOfObjects(err) {
		fault = store.FaultRefused
	}
	gone := errors.Is(err, store.ErrNotFound) || errors.Is(err, objects.ErrChanged)
	if fault != store.FaultRefused && !gone {
		return fault
	}
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	if away := store.PingObjects(once, w.objects); away != nil {
		w.log.Warn("the object store does not answer", "error", away)
		return store.FaultOutage
	}
	return fault
}

// unknownOfObjects says that an object was read or written, and that nothing is known of what went wrong.
func unknownOfObjects(err error) bool {
	var at *stageError
	return errors.As(err, &at) && (at.stage == stageRead || at.stage == stageWrite) && fault.Explain(err).Code == fault.CodeInternal
}

// end records how a claim ended without success.
func (w *Worker) end(ctx context.Context, c *store.Claim, err error) (result string, told error) {
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return metrics.AttemptLost, nil
	case errors.Is(err, errDrained):
		return metrics.AttemptReleased, w.tell(ctx, func(ctx context.Context) error { return w.ledger.ReleasePart(ctx, c) })
	}
	whose := w.blame(ctx, err)
	switch {
	case whose == store.FaultOutage:
		return metrics.AttemptPostponed, w.postpone(ctx, c, store.Postponement{
			Wait: pauseFor(c, false, outagePauseMax), Reason: "waiting for the storage to come back",
		})
	case whose == store.FaultRefused && (!c.Refused || c.Postponed < w.config.PostponeMax):
		p := store.Postponement{Wait: pauseFor(c, true, refusedPauseMax), Reason: "waiting: " + fault.Refused(err).Text(), Refused: true}
		if c.Refused {
			p.Wait = min(p.Wait, w.config.PostponeMax-c.Postponed) // the last attempt comes in time
		}
		return metrics.AttemptRefused, w.postpone(ctx, c, p)
	case whose == store.FaultRefused:
		f := failureOf(c, fault.Refused(err))
		f.Permanent = true
		return metrics.AttemptFailed, w.fail(ctx, c, f)
	case errors.Is(err, errPartsGone):
		w.metrics.Gone(metrics.GonePart)
		f := failureOf(c, err)
		return metrics.AttemptRestarted, w.tell(ctx, func(ctx context.Context) error { return w.ledger.Restart(ctx, c, f) })
	}
	if errors.Is(err, store.ErrNotFound) {
		w.metrics.Gone(metrics.GoneUpload)
	}
	return metrics.AttemptFailed, w.fail(ctx, c, failureOf(c, err))
}

func (w *Worker) postpone(ctx context.Context, c *store.Claim, p store.Postponement) error {
	return w.tell(ctx, func(ctx context.Context) error { return w.ledger.PostponePart(ctx, c, p) })
}

func (w *Worker) fail(ctx context.Context, c *store.Claim, f store.Failure) error {
	return w.tell(ctx, func(ctx context.Context) error { return w.ledger.FailPart(ctx, c, f) })
}

// pauseFor is as long as the claim has been postponed for the same reason, so that pauses double.
func pauseFor(c *store.Claim, refused bool, longest time.Duration) time.Duration {
	var since time.Duration
	if c.Refused == refused {
		since = c.Postponed
	}
	d := min(max(since, postponeTimeMin), longest)
	return d + rand.N(d/2)
}

// giveUp records and logs how a claim ended without success. ctx may have ended already.
func (w *Worker) giveUp(ctx context.Context, c *store.Claim, err error) string {
	result, told := w.end(ctx, c, err)
	if errors.Is(told, store.ErrLeaseLost) {
		result = metrics.AttemptLost // whatever went wrong, another worker has the part or has done it
	}
	m := w.counted(c)
	m.PartDone(result, 0)
	var stage *stageError
	if result == metrics.AttemptLost && errors.As(err, &stage) { // else the renewal said so, before anything was written
		m.Fenced()
	}
	var accounting *engine.AccountingError
	if errors.As(err, &accounting) || errors.Is(err, store.ErrAccounting) {
		m.AccountingMismatch()
	}
	w.log.Warn("part given up", "prediction_id", c.PublicID, "part", c.Part.No, "attempt", c.Attempt,
		"result", result, "error", err)
	if told != nil && !errors.Is(told, store.ErrLeaseLost) {
		w.log.Error("give up", "prediction_id", c.PublicID, "part", c.Part.No, "error", told)
	}
	if told == nil && (result == metrics.AttemptFailed || result == metrics.AttemptRestarted) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
		defer cancel()
		w.observeEnd(ctx, c, nil)
	}
	return result
}

// failureOf puts an error into the words that the prediction keeps. A fault of the file will not pass: it is permanent.
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
	f := fault.ExplainAs(code, err)
	switch {
	case errors.Is(err, errPartsGone):
		f = fault.Fail(fault.CodeGone, "").Because(err)
	case errors.Is(err, store.ErrNotFound) && strings.HasPrefix(c.ObjectKey, objects.InboxPrefix):
		f = fault.Fail(fault.CodeObjectUnreadable, "").Because(err)
	case errors.Is(err, store.ErrNotFound):
		f = fault.Fail(fault.CodeGone, "").Because(err)
	}
	details, _ := json.Marshal(f.Details)
	return store.Failure{
		Code: f.Code.String(), Stage: stage, Message: f.Text(), Details: details,
		Permanent: f.Code != fault.CodePredictionFailed && f.Code.Status() < 500,
	}
}
