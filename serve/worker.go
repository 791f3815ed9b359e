package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
)

// WorkerConfig says how parts are worked on. Zero fields mean their defaults.
type WorkerConfig struct {
	Name     string        // told in the ledger: host and process
	Attempts int           // parts in hand at once; default 2: one computes while the other waits for I/O
	Cores    int           // cores that score a part; default all
	Drain    time.Duration // how long a part in hand may take after shutdown began; default 20 s
	Limits   ingest.Limits // for files that were dropped, which no upload has checked
	// CustomerKey hides the ids of customers of whom rows are kept for retraining.
	CustomerKey store.CustomerKey
}

// worker claims parts, scores them and commits what it found, over and over.
type worker struct {
	config  WorkerConfig
	store   *store.Store
	objects store.Objects
	models  *engine.Registry
	metrics *Metrics
	// unpublished takes the figures of work of our own.
	unpublished *Metrics
	log         *slog.Logger
	more        chan struct{} // rung when there may be more to claim
}

// claimPause is the rest after the database did not answer.
const claimPause = time.Second

func newWorker(c WorkerConfig, s *store.Store, o store.Objects, r *engine.Registry, m *Metrics, l *slog.Logger) *worker {
	if c.Attempts <= 0 {
		c.Attempts = 2
	}
	if c.Drain <= 0 {
		c.Drain = 20 * time.Second
	}
	return &worker{
		config: c, store: s, objects: o, models: r, metrics: m, unpublished: NewMetrics(), log: l,
		more: make(chan struct{}, c.Attempts),
	}
}

// run works until ctx ends, then finishes or gives back what is in hand and returns.
func (w *worker) run(ctx context.Context) {
	doorbell := w.store.Listen(ctx)
	w.metrics.Workers(w.config.Attempts, cmp.Or(w.config.Cores, runtime.GOMAXPROCS(0)))
	work, stop := w.outlive(ctx)
	defer stop()
	var wg sync.WaitGroup
	for range w.config.Attempts {
		wg.Go(func() { w.loop(ctx, work, doorbell) })
	}
	wg.Wait()
}

// outlive gives a context that ends a drain time after ctx.
func (w *worker) outlive(ctx context.Context) (context.Context, func()) {
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
func (w *worker) loop(ctx, work context.Context, doorbell <-chan struct{}) {
	for ctx.Err() == nil {
		c, err := w.claim(ctx)
		if err == nil {
			w.metrics.Heartbeat()
		}
		switch {
		case err != nil && ctx.Err() == nil:
			w.log.Error("claim", "error", err)
			pause(ctx, claimPause)
		case c != nil:
			w.ring()
			w.attempt(work, c)
		case err == nil:
			select {
			case <-ctx.Done():
			case <-doorbell:
			case <-w.more:
			}
		}
	}
}

// ring wakes another loop: where one part was, another may be.
func (w *worker) ring() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// claim takes a last step that somebody left, else the oldest part.
func (w *worker) claim(ctx context.Context) (*store.Claim, error) {
	c, err := w.store.ClaimFinish(ctx, w.config.Name)
	if c != nil || err != nil {
		return c, err
	}
	return w.store.ClaimPart(ctx, w.config.Name)
}

// attempt works on a claim, and on the last step if the claim's commit makes it ours.
func (w *worker) attempt(ctx context.Context, c *store.Claim) {
	defer w.counted(c).WorkerBusy()()
	for c != nil {
		next, err := w.leased(ctx, c)
		if err != nil {
			w.giveUp(ctx, c, err)
			return
		}
		c = next
	}
}

// leased runs one step while the lease is renewed. If the lease is lost, the step is cancelled.
func (w *worker) leased(ctx context.Context, c *store.Claim) (next *store.Claim, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.renew(ctx, c); err != nil {
			cancel(err)
		}
	})
	defer func() {
		cancel(nil)
		wg.Wait()
	}()
	next, err = w.step(ctx, c)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause // what ended the step, not the step's complaint about it
	}
	return next, err
}

// renew extends the lease three times as often as needed, until ctx ends or the lease is lost. A database that does not
// answer is asked again: the lease outlives two missed renewals.
func (w *worker) renew(ctx context.Context, c *store.Claim) error {
	ticker := time.NewTicker(c.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := w.store.RenewLease(ctx, c)
		switch {
		case errors.Is(err, store.ErrLeaseLost):
			return err
		case err == nil:
			w.metrics.Heartbeat()
		case ctx.Err() == nil:
			w.log.Warn("renew lease", "prediction_id", c.PublicID, "part", c.Part.No, "error", err)
		}
	}
}

// step does what the claim asks for. A panic in it fails the claim, not the process.
func (w *worker) step(ctx context.Context, c *store.Claim) (next *store.Claim, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &stageError{stagePanic, fmt.Errorf("panic: %v", v)}
		}
	}()
	switch {
	case c.Finish:
		return nil, w.finish(ctx, c)
	case !c.Part.Planned:
		return nil, w.plan(ctx, c)
	}
	return w.scorePart(ctx, c)
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

// at names the stage of an error.
func at(stage string, err error) error {
	if err == nil {
		return nil
	}
	return &stageError{stage, err}
}
