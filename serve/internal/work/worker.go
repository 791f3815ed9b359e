// Package work claims parts of predictions, scores them, joins their results and gives back what it cannot finish.
// worker.go is the loop, score.go a part's way, finish.go the last step, failure.go what an error means for a part.
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
	"github.com/retainwise/millrace/serve/internal/backoff"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
)

// Config says how parts are worked on. Zero fields mean their defaults.
type Config struct {
	Name     string        // kept in the ledger: host and process
	Attempts int           // parts in hand at once; default 2: one computes while the other waits for I/O
	Small    int           // parts of small files beside them; default 2. They never wait for the part of a large file
	Cores    int           // cores that score parts; default all
	Drain    time.Duration // how long a part in hand may take after shutdown began; default 20 s
	Scorer   engine.Scorer // that scores parts; default compiled
	Limits   ingest.Limits // for files that were dropped, which no upload has checked
	// PostponeMax is how long a part waits whose own objects the store refuses, before its prediction fails; default 24 h.
	PostponeMax time.Duration
	// CustomerKey hides the ids of customers in snapshots and in rows that are kept for retraining.
	CustomerKey store.CustomerKey
}

// Worker claims parts, scores them and commits what it found, over and over.
type Worker struct {
	config  Config
	store   *store.Store
	ledger  ledger                                                    // the store, as the loop sees it
	runStep func(context.Context, *store.Claim) (*store.Claim, error) // step
	objects store.Objects
	models  *engine.Registry
	metrics *metrics.Metrics
	// unpublished takes the figures of work of our own.
	internalMetrics *metrics.Metrics
	log             *slog.Logger
	Background      *engine.Background // what the parts of large files share
	any             slots              // take whatever waits
	small           slots              // take small files only
}

// slots are loops that look for the same kind of part.
type slots struct {
	n      int
	wakeup chan struct{} // rung when there may be more to claim
	claim  func(context.Context) (*store.Claim, error)
}

// wake wakes a loop that waits.
func (s slots) wake() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// ledger is what the loop needs of the store: claims, and how they end. What is done with a claim is the step's affair.
type ledger interface {
	Listen(ctx context.Context) <-chan struct{}
	ClaimFinish(ctx context.Context, worker string) (*store.Claim, error)
	ClaimPart(ctx context.Context, worker string) (*store.Claim, error)
	ClaimSmallPart(ctx context.Context, worker string) (*store.Claim, error)
	RenewLease(ctx context.Context, c *store.Claim) error
	ReleasePart(ctx context.Context, c *store.Claim) error
	PostponePart(ctx context.Context, c *store.Claim, p store.Postponement) error
	Restart(ctx context.Context, c *store.Claim, f store.Failure) error
	FailPart(ctx context.Context, c *store.Claim, f store.Failure) error
	Times(ctx context.Context, c *store.Claim) (store.Times, error)
}

func New(c Config, s *store.Store, o store.Objects, r *engine.Registry, m *metrics.Metrics, l *slog.Logger) *Worker {
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
		config: c, store: s, ledger: s, objects: o, models: r, metrics: m, internalMetrics: metrics.NewMetrics(), log: l,
		Background: engine.NewBackground(c.Cores),
	}
	w.any = slots{c.Attempts, make(chan struct{}, c.Attempts), w.claim}
	w.small = slots{c.Small, make(chan struct{}, c.Small), w.claimSmall}
	w.runStep = w.step
	return w
}

// Run works until ctx ends, then finishes or gives back what is in hand and returns.
func (w *Worker) Run(ctx context.Context) {
	w.metrics.SetWorkers(w.any.n+w.small.n, w.config.Cores)
	work, stop := w.withDrain(ctx)
	defer stop()
	var wg sync.WaitGroup
	for _, s := range []slots{w.any, w.small} {
		for range s.n {
			wg.Go(func() { w.loop(ctx, work, s) })
		}
	}
	for range w.ledger.Listen(ctx) { // closed when ctx ends
		w.Wake()
	}
	wg.Wait()
}

// withDrain gives a context that ends a drain time after ctx.
func (w *Worker) withDrain(ctx context.Context) (context.Context, func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(w.config.Drain)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(errDrained)
		case <-work.Done():
		}
	})
	return work, func() {
		unwatch()
		cancel(nil)
	}
}

var errDrained = errors.New("shutting down")

// loop claims and works; ctx says when to claim nothing more, work bounds what is in hand.
func (w *Worker) loop(ctx, work context.Context, s slots) {
	for ctx.Err() == nil {
		c, err := s.claim(ctx)
		if err == nil {
			w.metrics.Heartbeat()
		}
		switch {
		case err != nil && ctx.Err() == nil:
			w.log.Error("claim", "error", err)
			w.backOff(ctx)
		case c != nil:
			s.wake() // where one part was, another may be
			var result string
			err := fault.Recover(func() error { result = w.attempt(work, c); return nil })
			if err != nil { // beside the step, which is guarded: the lease runs out
				w.log.Error("work on claim", "prediction_id", c.PublicID, "part", c.Part.No, "error", err)
			}
			if err != nil || result == metrics.AttemptPostponed {
				w.backOff(ctx) // the next part would fare no better
			}
		case err == nil:
			select {
			case <-ctx.Done():
			case <-s.wakeup:
			}
		}
	}
}

// Wake wakes a loop of each kind: something was queued.
func (w *Worker) Wake() {
	w.any.wake()
	w.small.wake()
}

// backOff waits until it may be worth while to ask again for what was away.
func (w *Worker) backOff(ctx context.Context) {
	backoff.Pause(ctx, backoff.OutageDelay/2+rand.N(backoff.OutageDelay))
}

// claim takes a last step that is due, else the part whose turn it is.
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

// attempt works on a claim, and on the last step if the claim's commit makes it ours. It says how the last of them
// ended.
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

// withLease runs one step while the lease is renewed. If the lease is lost, the step is cancelled.
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
		err = cause // what ended the step, not the step's complaint about it
	}
	return next, err
}

// renew extends the lease three times as often as needed, until ctx ends or the lease is lost. A database that does not
// answer is asked again: the lease outlives two missed renewals. One that is lost after missed renewals is the
// database's fault and costs no attempt.
func (w *Worker) renew(ctx context.Context, c *store.Claim) error {
	ticker := time.NewTicker(c.Lease / 3)
	defer ticker.Stop()
	var missed error // the renewal before, if the database did not answer it
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		once, cancel := context.WithTimeout(ctx, c.Lease/3) // a connection that went silent must not use up the lease
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

// step does what the claim asks for. A panic in it fails the claim, not the process.
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

// recoverStep runs a part of a step: a panic fails the claim and is the worker's.
func recoverStep(f func() error) error {
	err := fault.Recover(f)
	var panicked *engine.PanicError
	if errors.As(err, &panicked) {
		return atStage(stagePanic, err)
	}
	return err
}

// Stages of a claim, as a failure names them.
const (
	stageRead   = "reading"
	stagePlan   = "planning"
	stageScore  = "scoring"
	stageWrite  = "writing"
	stageCommit = "committing"
	stageFinish = "finalizing"
	stagePanic  = "worker"
)

// stageError says where a step failed.
type stageError struct {
	stage string
	err   error
}

func (e *stageError) Error() string { return e.stage + ": " + e.err.Error() }

func (e *stageError) Unwrap() error { return e.err }

// atStage names the stage of an error that does not know it.
func atStage(stage string, err error) error {
	var known *stageError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &stageError{stage, err}
}
