// Package work is the worker: it claims parts of predictions under a lease, scores them, joins their results, and retries,
// postpones, releases or fails what it cannot finish. worker.go is the loop of claims and leases, score.go the path of a
// part from its claim to its commit (part_sink.go writes its objects), finish.go the last step of a prediction, plan.go the
// first step of a dropped file, suspects.go what runs alone, failure.go what an error means for a claim. Loops that do not claim parts belong in duty,
// SQL in store, arithmetic in engine.
package work

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
)

// Config configures a worker. Zero fields mean their defaults.
type Config struct {
	Name     string        // of the worker in the ledger: host and process
	Attempts int           // parts of any file at the same time; default 2: one computes while the other waits for I/O
	Small    int           // additional parts of small files, which never queue behind a large file; default 2
	Cores    int           // cores that score parts; default all
	Drain    time.Duration // how long a part in progress may take after shutdown began; default 20 s
	Scorer   engine.Scorer // default compiled
	Limits   ingest.Limits // of dropped files, which no upload has checked
	// PostponeMax is how long a part is retried while the object store refuses only its objects, before its prediction
	// fails; default 24 h.
	PostponeMax time.Duration
	// CustomerKey hides the ids of customers in snapshots and in rows that are kept for retraining.
	CustomerKey customer.Key
}

// Worker claims parts, scores them and commits the results. Its methods are safe for concurrent use.
type Worker struct {
	config  Config
	store   *store.Ledger
	ledger  ledger                                                    // the store; a model of it in tests
	runStep func(context.Context, *store.Claim) (*store.Claim, error) // step, but in tests
	objects objects.Store
	models  *plan.KeptModels
	metrics *metrics.Metrics
	// internalMetrics counts the canary; it is not exported.
	internalMetrics *metrics.Metrics
	log             *slog.Logger
	Background      *engine.Background // the cores that parts of large files share; small files preempt them
	any             slots              // claim parts of any file
	small           slots              // claim parts of small files only
	places          places             // one for each of these loops
	suspects        chan struct{}      // receives when a suspect may be due
}

// slots are n loops that claim the same kind of part.
type slots struct {
	n      int
	wakeup chan struct{} // receives when there may be a part to claim
	claim  func(context.Context) (*store.Claim, error)
}

// wake wakes one waiting loop. It never blocks.
func (s slots) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// ledger is the part of the store that claims and leases need. Each method returns store.ErrLeaseLost if another worker has
// taken the claim over.
type ledger interface {
	Listen(ctx context.Context) <-chan struct{}
	ClaimFinish(ctx context.Context, worker string) (*store.Claim, error)
	ClaimPart(ctx context.Context, worker string) (*store.Claim, error)
	ClaimSmallPart(ctx context.Context, worker string) (*store.Claim, error)
	ReserveSuspect(ctx context.Context, worker string) (*store.Claim, error)
	Begin(ctx context.Context, c *store.Claim) error
	Acquit(ctx context.Context, c *store.Claim) error
	RenewLease(ctx context.Context, c *store.Claim) error
	ReleasePart(ctx context.Context, c *store.Claim) error
	PostponePart(ctx context.Context, c *store.Claim, p store.Postponement) error
	Restart(ctx context.Context, c *store.Claim, f store.Failure) error
	FailPart(ctx context.Context, c *store.Claim, f store.Failure) error
	Times(ctx context.Context, c *store.Claim) (store.Times, error)
}

// New returns a worker that does nothing until [Worker.Run].
func New(c Config, s *store.Ledger, o objects.Store, k *plan.KeptModels, m *metrics.Metrics, l *slog.Logger) *Worker {
	if c.Attempts <= 0 {
		c.Attempts = 2
	}
	if c.Drain <= 0 {
		c.Drain = 20 * time.Second
	}
	if c.PostponeMax <= 0 {
		c.PostponeMax = postponeMax
	}
	if c.Small <= 0 {
		c.Small = 2
	}
	if c.Cores <= 0 {
		c.Cores = runtime.GOMAXPROCS(0)
	}
	w := &Worker{
		config: c, store: s, ledger: s, objects: o, models: k, metrics: m, internalMetrics: metrics.NewMetrics(), log: l,
		Background: engine.NewBackground(c.Cores),
	}
	w.makeSlots()
	w.runStep = w.step
	return w
}

func (w *Worker) makeSlots() {
	w.any = slots{w.config.Attempts, make(chan struct{}, w.config.Attempts), w.claim}
	w.small = slots{w.config.Small, make(chan struct{}, w.config.Small), w.claimSmall}
	w.places = make(places, w.any.n+w.small.n)
	w.suspects = make(chan struct{}, 1)
}

// Run works until ctx ends. Then it drains: it finishes or releases its claims within Config.Drain and returns.
func (w *Worker) Run(ctx context.Context) {
	w.metrics.SetWorkers(w.any.n+w.small.n, w.config.Cores)
	drain, stop := w.withDrain(ctx)
	defer stop()
	var wg sync.WaitGroup
	for _, s := range []slots{w.any, w.small} {
		for range s.n {
			wg.Go(func() { w.loop(ctx, drain, s) })
		}
	}
	wg.Go(func() { w.suspectLoop(ctx, drain) })
	for range w.ledger.Listen(ctx) { // closed when ctx ends
		w.Wake()
	}
	wg.Wait()
}

// withDrain returns a context that is cancelled with errDrained Config.Drain after ctx, and a function that releases it.
func (w *Worker) withDrain(ctx context.Context) (context.Context, func()) {
	drain, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(w.config.Drain)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(errDrained)
		case <-drain.Done():
		}
	})
	return drain, func() {
		unwatch()
		cancel(nil)
	}
}

var errDrained = errors.New("shutting down")

// loop claims until ctx ends; drain bounds the attempt in progress.
func (w *Worker) loop(ctx, drain context.Context, s slots) {
	for w.places.take(ctx, 1) {
		c, err := s.claim(ctx)
		if err == nil {
			w.metrics.Heartbeat()
		}
		ok := true
		if c != nil {
			s.wake() // there may be another part
			_, ok = w.attemptOf(drain, c)
		}
		w.places.give(1)
		switch {
		case err != nil:
			w.backOffAfter(ctx, "claim", err)
		case !ok:
			w.backOff(ctx)
		case c == nil:
			select {
			case <-ctx.Done():
			case <-s.wakeup:
			}
		}
	}
}

// attemptOf is attempt, and reports whether the next claim may succeed: after an outage it would be postponed as well.
func (w *Worker) attemptOf(ctx context.Context, c *store.Claim) (result string, ok bool) {
	err := fault.Recover(func() error { result = w.attempt(ctx, c); return nil })
	if err != nil { // a panic outside the step: the lease expires
		w.log.Error("attempt panicked", "prediction_id", c.PublicID, "part", c.Part.No, "error", err)
		return metrics.AttemptLost, false
	}
	return result, result != metrics.AttemptPostponed
}

// Wake wakes a loop of each kind, because something was queued. It never blocks.
func (w *Worker) Wake() {
	w.any.wake()
	w.small.wake()
	select {
	case w.suspects <- struct{}{}:
	default:
	}
}

// backOff pauses after an outage of the database or the object store: 0.5 to 1.5 times backoff.OutageDelay, with jitter.
func (w *Worker) backOff(ctx context.Context) {
	backoff.Pause(ctx, backoff.OutageDelay/2+rand.N(backoff.OutageDelay))
}

// backOffAfter logs an error of the ledger and pauses, unless ctx has ended.
func (w *Worker) backOffAfter(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		w.log.Error(what, "error", err)
		w.backOff(ctx)
	}
}

// claim claims a last step that is due, or else the next part in the fair order. A nil claim means that nothing is queued.
func (w *Worker) claim(ctx context.Context) (*store.Claim, error) {
	c, err := w.ledger.ClaimFinish(ctx, w.config.Name)
	if c != nil || err != nil {
		return c, err
	}
	return w.ledger.ClaimPart(ctx, w.config.Name)
}

func (w *Worker) claimSmall(ctx context.Context) (*store.Claim, error) {
	return w.ledger.ClaimSmallPart(ctx, w.config.Name)
}

// attempt works on a claim, and then on the last step of the prediction if the commit of the claim returned one. It
// returns the result of the last attempt as a metrics label.
func (w *Worker) attempt(ctx context.Context, c *store.Claim) (result string) {
	defer w.metricsOf(c).WorkerBusy()()
	if c.Small {
		defer w.Background.Urgent()()
	}
	for c != nil {
		next, err := w.withLease(ctx, c)
		if err != nil {
			return w.recordFailure(ctx, c, err)
		}
		c = next
	}
	return metrics.AttemptCommitted
}

// withLease runs one step while it renews the lease. If the lease is lost, the step is cancelled.
func (w *Worker) withLease(ctx context.Context, c *store.Claim) (next *store.Claim, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := fault.Recover(func() error { return w.renew(ctx, c) }); err != nil {
			cancel(err)
		}
	})
	defer func() {
		cancel(nil)
		wg.Wait()
	}()
	next, err = w.runStep(ctx, c)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // why the step was cancelled, not the error that the cancellation led to
	}
	return next, err
}

// renew renews the lease three times per lease, until ctx ends or the lease is lost. A renewal that the database does not
// answer is retried: the lease survives two missed ones. A lease that is lost after missed renewals is an outage and costs
// no attempt.
func (w *Worker) renew(ctx context.Context, c *store.Claim) error {
	ticker := time.NewTicker(c.Lease / 3)
	defer ticker.Stop()
	var missed error // of the previous renewal, if the database was unavailable
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		once, cancel := context.WithTimeout(ctx, c.Lease/3) // a stalled connection must not use up the lease
		err := w.ledger.RenewLease(once, c)
		cancel()
		switch {
		case errors.Is(err, store.ErrLeaseLost) && store.Unavailable(missed):
			return fmt.Errorf("renew lease: %w", missed)
		case errors.Is(err, store.ErrLeaseLost):
			return err
		case err == nil:
			missed = nil
			w.metrics.Heartbeat()
		case ctx.Err() == nil:
			missed = err
			w.log.Warn("renew lease", "prediction_id", c.PublicID, "part", c.Part.No, "error", err)
		}
	}
}

// step runs the step that the claim is for: the plan of a dropped file, the score of a part, or the last step. It returns
// the claim of the last step if this was the last part. A panic fails the claim, not the process.
func (w *Worker) step(ctx context.Context, c *store.Claim) (next *store.Claim, err error) {
	err = recoverStep(func() (err error) {
		switch {
		case c.Finish:
			return w.finish(ctx, c)
		case !c.Part.Planned:
			return w.planDropped(ctx, c)
		}
		next, err = w.scorePart(ctx, c)
		return err
	})
	return next, err
}

// recoverStep runs f and returns a panic as an error of stagePanic.
func recoverStep(f func() error) error {
	err := fault.Recover(f)
	var panicked *engine.PanicError
	if errors.As(err, &panicked) {
		return atStage(stagePanic, err)
	}
	return err
}

// Stages of a claim, as the error of a prediction names them.
const (
	stageRead   = "reading"
	stagePlan   = "planning"
	stageScore  = "scoring"
	stageWrite  = "writing"
	stageCommit = "committing"
	stageFinish = "finalizing"
	stagePanic  = "worker"
)

// stageError names the stage in which a step failed.
type stageError struct {
	stage string
	err   error
}

func (e *stageError) Error() string { return e.stage + ": " + e.err.Error() }

func (e *stageError) Unwrap() error { return e.err }

// atStage wraps err in a stageError, unless it is nil or already has a stage.
func atStage(stage string, err error) error {
	var known *stageError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &stageError{stage, err}
}
