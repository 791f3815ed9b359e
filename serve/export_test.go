package serve

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// RunWorker works until ctx ends, as the program's own worker does.
func RunWorker(
	ctx context.Context, s *store.Store, o store.Objects, r *engine.Registry, m *Metrics, l *slog.Logger,
	key store.CustomerKey,
) {
	newWorker(WorkerConfig{Name: "test", CustomerKey: key}, s, o, r, m, l).run(ctx)
}

// RunWorkerWith is RunWorker with another configuration.
func RunWorkerWith(
	ctx context.Context, c WorkerConfig, s *store.Store, o store.Objects, r *engine.Registry, m *Metrics, l *slog.Logger,
) {
	newWorker(c, s, o, r, m, l).run(ctx)
}

// WatchDependencies is the loop of a process that checks what it stands on, until ctx ends.
func WatchDependencies(ctx context.Context, p Parts) { newReadiness(p).watch(ctx) }

// Operation is a route as the OpenAPI document describes one.
type Operation struct {
	Method, Pattern string
	Open            bool
	Body, Limited   bool
	Params          []string
}

// Operations lists every route.
func Operations() []Operation {
	var list []Operation
	for _, r := range apiRoutes() {
		if r.asset {
			continue
		}
		list = append(list, Operation{r.method, r.pattern, r.open, r.body, r.limit != limitNone, r.params})
	}
	return list
}

// AllCodes lists every published code.
func AllCodes() []Code {
	var list []Code
	for _, m := range meanings {
		list = append(list, m.code)
	}
	return list
}

func newCanary(s *store.Store, o store.Objects, r *engine.Registry, m *Metrics) *canary {
	return &canary{store: s, objects: o, models: r, metrics: m, log: slog.New(slog.DiscardHandler), now: time.Now}
}

// RunCanary sends one canary and counts it.
func RunCanary(ctx context.Context, s *store.Store, o store.Objects, r *engine.Registry, m *Metrics) error {
	return newCanary(s, o, r, m).counted(ctx)
}

// LeaveCanary does what a process does that dies behind the upload.
func LeaveCanary(ctx context.Context, s *store.Store, o store.Objects, r *engine.Registry) (store.Prediction, error) {
	user, err := s.EnsureUser(ctx, canarySubject)
	if err != nil {
		return store.Prediction{}, err
	}
	b, _ := r.Get(canaryModel)
	return newCanary(s, o, r, nil).upload(ctx, user, b)
}

// SweepCanaries removes what is old by a clock.
func SweepCanaries(ctx context.Context, s *store.Store, o store.Objects, now time.Time) error {
	user, err := s.EnsureUser(ctx, canarySubject)
	if err != nil {
		return err
	}
	c := newCanary(s, o, nil, nil)
	c.now = func() time.Time { return now }
	return c.sweep(ctx, user)
}

// WriteBundle puts a copy of the telecom bundle into a directory, with a change to its bundle.yaml.
func WriteBundle(t *testing.T, dir, old, with string) { writeBundle(t, dir, old, with) }

// LookIntoInbox does what upkeep does for dropped files, at once.
func LookIntoInbox(ctx context.Context, s *store.Store, o store.Objects, log io.Writer) error {
	logger := NewLogger(log, slog.LevelInfo)
	files := store.S3Config{Bucket: "b"}
	u := &upkeep{store: s, objects: o, inbox: &doorbell{store: s, files: files, log: logger}, log: logger}
	return u.lookIntoInbox(ctx, 0)
}

// HandleNotice does what a process does with a message of the queue, and says whether its worker was rung for.
func HandleNotice(
	ctx context.Context, s *store.Store, o store.Objects, log io.Writer, n store.Notice,
) (rung bool, err error) {
	d := &doorbell{
		store: s, objects: o, files: store.S3Config{Bucket: "b"}, ring: func() { rung = true }, log: NewLogger(log, slog.LevelInfo),
	}
	err = d.handle(ctx, n)
	return rung, err
}

// Sweep is the loop that heals what a crash left, until ctx ends.
func Sweep(ctx context.Context, s *store.Store, o store.Objects, log io.Writer) {
	sweep(ctx, s, o, NewLogger(log, slog.LevelInfo))
}

// Upkeep is the loop of one process at a time, until ctx ends. The store is the database's from now on.
func Upkeep(ctx context.Context, s *store.Store, o store.Objects, retain time.Duration, log io.Writer) {
	c := RunConfig{Retain: retain, S3: store.S3Config{Bucket: "b"}, Log: NewLogger(log, slog.LevelInfo), SweepAfter: 1}
	owner := store.NewOwner(s, o, c.Log)
	if _, err := owner.Adopt(ctx); err != nil {
		c.Log.Error("adopt", "error", err)
	}
	newUpkeep(c, &foundation{store: s, objects: owner.Objects(), owner: owner}).run(ctx)
}

// UpkeepOnce is one turn of the upkeep of an owner's store, to which files may be dropped.
func UpkeepOnce(ctx context.Context, s *store.Store, owner *store.Owner, log io.Writer) error {
	c := RunConfig{S3: store.S3Config{Bucket: "b"}, Log: NewLogger(log, slog.LevelInfo), SweepAfter: time.Hour}
	return newUpkeep(c, &foundation{store: s, objects: owner.Objects(), owner: owner}).once(ctx)
}

// WatchOwner is the loop that keeps the gauges of the installation current, until ctx ends.
func WatchOwner(ctx context.Context, o *store.Owner, s *store.Store, m *Metrics, log io.Writer) {
	watchOwner(ctx, o, s, m, NewLogger(log, slog.LevelInfo))
}

// Settled says for looks, one a minute, at which all was well or not, whether the upkeep would sweep.
func Settled(after time.Duration, well []bool) (sweeps []bool) {
	u := &upkeep{sweepAfter: after}
	for i, w := range well {
		sweeps = append(sweeps, u.settled(w, time.Unix(0, 0).Add(time.Duration(i)*time.Minute)))
	}
	return sweeps
}

// KeepDeadline does once what every worker does each minute for predictions that take too long.
func KeepDeadline(ctx context.Context, s *store.Store, o store.Objects, after time.Duration, m *Metrics) error {
	return (&deadline{s, o, after, m, slog.New(slog.DiscardHandler)}).once(ctx)
}

// CompletePostponed does what upkeep does for links that wait for room, at once.
func CompletePostponed(ctx context.Context, s *store.Store, o store.Objects, log io.Writer) error {
	u := &upkeep{store: s, objects: o, log: NewLogger(log, slog.LevelInfo)}
	return u.completePostponed(ctx)
}
