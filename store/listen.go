package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/internal/database"
)

// Listen returns a channel that wakes a worker: when work has been queued, when a lease or a postponement ends, and after
// each poll interval, as a NOTIFY can be lost with its connection. Wakes that have not been received yet coalesce. Its
// goroutine keeps a connection outside the pool, reconnects with backoff, and closes the channel when ctx ends.
func (l *Ledger) Listen(ctx context.Context) <-chan struct{} {
	wake := make(chan struct{}, 1)
	go func() {
		defer close(wake)
		for failures := 0; ctx.Err() == nil; {
			connected, err := l.listen(ctx, wake)
			if ctx.Err() != nil {
				return
			}
			if connected {
				failures = 0
			}
			l.config.Log.Warn("doorbell connection lost", "error", err.Error())
			failures++
			backoff.Pause(ctx, backoff.Jittered(failures, l.config.PollInterval))
			notify(wake)
		}
	}()
	return wake
}

// errRenewed means that the server of a connection has been replaced by another.
var errRenewed = errors.New("the server was replaced, or does not answer")

// listen forwards notifications until its connection breaks. connected reports whether it had been up.
func (l *Ledger) listen(ctx context.Context, wake chan<- struct{}) (connected bool, err error) {
	era := l.db.Era()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(era, cancel)()
	conn, err := l.db.Connect(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+doorbell); err != nil {
		return false, err
	}
	due := time.Now() // at once: parts may have been queued before LISTEN
	for {
		if !time.Now().Before(due) {
			notify(wake)
			ask, cancel := context.WithTimeout(ctx, claimTimeout)
			pause, err := l.NextDue(ask)
			cancel()
			if err != nil && ctx.Err() == nil {
				l.config.Log.Warn("find next due claim", "error", err.Error())
			}
			due = time.Now().Add(max(dueSpread, pause))
		}
		wait, cancel := context.WithDeadline(ctx, due)
		_, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		switch {
		case era.Err() != nil:
			return true, errRenewed
		case err == nil:
			notify(wake)
			if soon := time.Now().Add(noteDue); soon.Before(due) { // its part may be postponed
				due = soon
			}
		case !silent || ctx.Err() != nil || conn.IsClosed():
			return true, err
		}
	}
}

// NextDue returns how long a worker may wait until it tries to claim again: until the first lease or postponement ends,
// at most the poll interval, which is shorter than a lease. With an error it returns the poll interval.
func (l *Ledger) NextDue(ctx context.Context) (time.Duration, error) {
	due := min(l.config.PollInterval, l.config.Lease/2)
	var seconds *float64
	err := l.db.Pool.QueryRow(ctx, `
		SELECT extract(epoch FROM least(
		    (SELECT min(lease_until) FROM prediction_parts
		     WHERE status = 'open' AND epoch > 0 AND lease_until > clock_timestamp()),
		    (SELECT min(finish_lease_until) FROM predictions
		     WHERE finish_due AND finish_lease_until > clock_timestamp())) - clock_timestamp())::float8`).Scan(&seconds)
	if err != nil {
		return due, fmt.Errorf("find next due: %w", err)
	}
	if seconds == nil {
		return due, nil
	}
	return min(due, time.Duration(*seconds*float64(time.Second))+rand.N(dueSpread)), nil
}

const (
	dueSpread = 20 * time.Millisecond // jitter between workers, and the least pause of one
	noteDue   = time.Second           // after a notification; later ones until then share one query
)

// notify wakes the receiver of wake, unless a wake is pending already.
func notify(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// changes is the channel of NOTIFY for predictions that have changed. Its payload is the internal id. A notification is sent
// behind the commit, because a transaction with one makes all others with one wait for its commit; it may be lost.
const changes = "millrace_changes"

// announce notifies those who watch a prediction. An error costs them the notification only.
func announce(ctx context.Context, db *database.DB, prediction int64) {
	_, _ = db.Pool.Exec(ctx, `SELECT pg_notify($1, $2)`, changes, strconv.FormatInt(prediction, 10))
}

// watchers are those who wait for predictions to change. From the first one on, until the store is closed, one goroutine
// listens for all of them on one connection outside the pool. They are safe for concurrent use.
type watchers struct {
	db   *database.DB
	log  *slog.Logger
	pool *sync.WaitGroup // of the goroutine

	mu     sync.Mutex
	of     map[int64]map[chan struct{}]struct{}
	cancel context.CancelFunc // ends the goroutine; nil without one
	closed bool
}

func newWatchers(db *database.DB, log *slog.Logger) *watchers {
	return &watchers{db: db, log: log, pool: &sync.WaitGroup{}, of: map[int64]map[chan struct{}]struct{}{}}
}

// Watch returns a channel that receives when a prediction may have changed, until stop is called. Notifications that have
// not been received yet coalesce, and some may be lost, so the prediction must be read now and then without one as well.
func (ps *Predictions) Watch(prediction int64) (changed <-chan struct{}, stop func()) {
	return ps.watchers.add(prediction)
}

func (w *watchers) add(prediction int64) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of[prediction] == nil {
		w.of[prediction] = map[chan struct{}]struct{}{}
	}
	w.of[prediction][c] = struct{}{}
	if w.cancel == nil && !w.closed {
		ctx, cancel := context.WithCancel(context.Background())
		w.cancel = cancel
		w.pool.Go(func() { w.run(ctx) })
	}
	return c, func() { w.remove(prediction, c) }
}

func (w *watchers) remove(prediction int64, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of[prediction], c)
	if len(w.of[prediction]) == 0 {
		delete(w.of, prediction)
	}
}

// close ends the goroutine and waits for it.
func (w *watchers) close() {
	w.mu.Lock()
	w.closed = true
	if w.cancel != nil {
		w.cancel()
		w.cancel = nil
	}
	w.mu.Unlock()
	w.pool.Wait()
}

// changed wakes those who watch a prediction; 0 is every prediction.
func (w *watchers) changed(prediction int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, list := range w.of {
		if id != prediction && prediction != 0 {
			continue
		}
		for c := range list {
			notify(c)
		}
	}
}

// run listens until ctx ends, and connects again with backoff.
func (w *watchers) run(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		connected, err := w.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			failures = 0
		}
		w.log.Warn("connection for changes lost", "error", err.Error())
		failures++
		backoff.Pause(ctx, backoff.Jittered(failures, 5*time.Second))
	}
}

// listen forwards notifications until its connection breaks. connected reports whether it had been up.
func (w *watchers) listen(ctx context.Context) (connected bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, w.db.Requests.Config().ConnConfig)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+changes); err != nil {
		return false, err
	}
	w.changed(0) // what changed before LISTEN
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return true, err
		}
		if prediction, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
			w.changed(prediction)
		}
	}
}
