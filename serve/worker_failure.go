package serve

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

const (
	giveUpTime   = 5 * time.Second // for telling the store that a claim failed
	postponeTime = time.Second     // until a part is tried again after an outage, and up to half as much more
)

// tell calls f until the store has heard it. In an outage there is nothing to claim either, and the attempt would be
// charged if nobody said that it was not the part's fault. Once ctx has ended, it is called once.
func (w *worker) tell(ctx context.Context, f func(context.Context) error) error {
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

// giveUp tells the store how a claim ended without success, and us. ctx may have ended already.
func (w *worker) giveUp(ctx context.Context, c *store.Claim, err error) (result string) {
	result = AttemptFailed
	var told error
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		result = AttemptLost
	case errors.Is(err, errDrained):
		result = AttemptReleased
		told = w.tell(ctx, func(ctx context.Context) error { return w.ledger.ReleasePart(ctx, c) })
	case store.Unavailable(err):
		result = AttemptPostponed
		told = w.tell(ctx, func(ctx context.Context) error {
			wait := postponeTime + rand.N(postponeTime/2)
			return w.ledger.PostponePart(ctx, c, wait, "waiting for the storage to come back")
		})
	default:
		told = w.tell(ctx, func(ctx context.Context) error { return w.ledger.FailPart(ctx, c, failureOf(err)) })
	}
	if errors.Is(told, store.ErrLeaseLost) {
		result = AttemptLost // whatever went wrong, another worker has the part or has done it
	}
	m := w.counted(c)
	m.PartDone(result, 0)
	var stage *stageError
	if result == AttemptLost && errors.As(err, &stage) { // else the renewal said so, before anything was written
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
	if told == nil && result == AttemptFailed {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
		defer cancel()
		w.observeEnd(ctx, c, nil)
	}
	return result
}

// failureOf puts an error into the words that the prediction keeps. A fault of the file will not pass: it is permanent.
func failureOf(err error) store.Failure {
	code := CodePredictionFailed
	stage := stageScore
	var at *stageError
	if errors.As(err, &at) {
		stage = at.stage
	}
	switch stage {
	case stageRead, stageWrite:
		code = CodeObjectStore
	case stageCommit, stageFinish:
		code = CodeDatabase
	}
	f := explainAs(code, err)
	if stage == stageRead && errors.Is(err, store.ErrNotFound) {
		f = fail(CodeObjectUnreadable, "").because(err)
	}
	details, _ := json.Marshal(f.details)
	return store.Failure{
		Code: f.code.String(), Stage: stage, Message: f.text(), Details: details,
		Permanent: f.code != CodePredictionFailed && f.code.Status() < 500,
	}
}
