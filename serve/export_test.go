package serve

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/logging"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/plan/plantest"
	"github.com/retainwise/millrace/serve/internal/work"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
)

// RunWorker works until ctx ends, as the program's own worker does.
func RunWorker(
	ctx context.Context, s *store.Store, o objects.Store, r *engine.Registry, m *metrics.Metrics, l *slog.Logger,
	key customer.Key,
) {
	work.New(work.Config{Name: "test", CustomerKey: key}, s.Ledger, o, keptModels(s, o, r, m, l), m, l).Run(ctx)
}

// keptModels are the models of a process with a registry.
func keptModels(
	s *store.Store, o objects.Store, r *engine.Registry, m *metrics.Metrics, l *slog.Logger,
) *plan.KeptModels {
	return plan.NewKeptModels(plan.KeptParts{Registry: r, Models: s.Models, Objects: o, Metrics: m, Log: l})
}

// RunWorkerWith is RunWorker with another configuration.
func RunWorkerWith(
	ctx context.Context, c work.Config, s *store.Store, o objects.Store, r *engine.Registry, m *metrics.Metrics, l *slog.Logger,
) {
	work.New(c, s.Ledger, o, keptModels(s, o, r, m, l), m, l).Run(ctx)
}

// WatchDependencies runs the readiness checks of a process until ctx ends.
func WatchDependencies(ctx context.Context, p api.Parts) { api.NewReadiness(p).Watch(ctx) }

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
	for _, r := range api.Routes() {
		if r.Asset {
			continue
		}
		list = append(list, Operation{r.Method, r.Pattern, r.Open, r.Body, r.Limit != limit.None, r.Params})
	}
	return list
}

// AllCodes lists every published code.
func AllCodes() []fault.Code {
	var list []fault.Code
	for _, m := range fault.Meanings {
		list = append(list, m.Code)
	}
	return list
}

func newCanary(s *store.Store, o objects.Store, r *engine.Registry, m *metrics.Metrics) *duty.Canary {
	return &duty.Canary{
		Store: s, Objects: o, Models: keptModels(s, o, r, m, nil), Metrics: m, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

// RunCanary sends one canary and counts it.
func RunCanary(ctx context.Context, s *store.Store, o objects.Store, r *engine.Registry, m *metrics.Metrics) error {
	return newCanary(s, o, r, m).RunOnce(ctx)
}

// UploadOrphanCanary uploads a canary as a process does that crashes right after.
func UploadOrphanCanary(ctx context.Context, s *store.Store, o objects.Store, r *engine.Registry) (store.Prediction, error) {
	user, err := s.Accounts.EnsureUser(ctx, duty.CanarySubject)
	if err != nil {
		return store.Prediction{}, err
	}
	b, _ := r.Get(duty.CanaryModel)
	return newCanary(s, o, r, nil).Upload(ctx, user, b)
}

// SweepCanaries removes orphaned canaries at a time.
func SweepCanaries(ctx context.Context, s *store.Store, o objects.Store, now time.Time) error {
	user, err := s.Accounts.EnsureUser(ctx, duty.CanarySubject)
	if err != nil {
		return err
	}
	c := newCanary(s, o, nil, nil)
	c.Now = func() time.Time { return now }
	return c.Sweep(ctx, user)
}

// WriteBundle puts a copy of the telecom bundle into a directory, with a change to its bundle.yaml.
func WriteBundle(t *testing.T, dir, old, with string) { plantest.WriteBundle(t, dir, old, with) }

// ScanInbox enqueues dropped files without an event, as the upkeep does, at once.
func ScanInbox(ctx context.Context, s *store.Store, o objects.Store, log io.Writer) error {
	logger := logging.NewLogger(log, slog.LevelInfo)
	files := objects.S3Config{Bucket: "b"}
	u := &duty.Upkeep{Store: s, Objects: o, Inbox: &duty.QueueHandler{Store: s, Objects: o, Files: files, Log: logger}, Log: logger}
	return u.ScanInbox(ctx, 0)
}

// HandleMessage handles a message of the queue, and reports whether it has woken the worker.
func HandleMessage(
	ctx context.Context, s *store.Store, o objects.Store, log io.Writer, n queue.Notice,
) (woken bool, err error) {
	d := &duty.QueueHandler{
		Store: s, Objects: o, Files: objects.S3Config{Bucket: "b"}, Wake: func() { woken = true }, Log: logging.NewLogger(log, slog.LevelInfo),
	}
	err = d.Handle(ctx, n)
	return woken, err
}

// Sweep runs the sweep of a worker until ctx ends.
func Sweep(ctx context.Context, s *store.Store, o objects.Store, log io.Writer) {
	duty.Sweep(ctx, s, o, logging.NewLogger(log, slog.LevelInfo))
}

// Upkeep is the loop of one process at a time, until ctx ends. The store is the database's from now on.
func Upkeep(ctx context.Context, s *store.Store, o objects.Store, retain time.Duration, log io.Writer) {
	c := RunConfig{Retain: retain, S3: objects.S3Config{Bucket: "b"}, Log: logging.NewLogger(log, slog.LevelInfo), SweepAfter: 1}
	owner := store.NewOwner(s, o, c.Log)
	if _, err := owner.Adopt(ctx); err != nil {
		c.Log.Error("adopt", "error", err)
	}
	newUpkeep(c, &dependencies{store: s, objects: owner.Objects(), owner: owner}).Run(ctx)
}

// UpkeepOnce is one turn of the upkeep of an owner's store, to which files may be dropped.
func UpkeepOnce(ctx context.Context, s *store.Store, owner *store.Owner, log io.Writer) error {
	c := RunConfig{S3: objects.S3Config{Bucket: "b"}, Log: NewLogger(log, slog.LevelInfo), SweepAfter: time.Hour}
	return newUpkeep(c, &dependencies{store: s, objects: owner.Objects(), owner: owner}).Once(ctx)
}

// WatchOwner is the loop that keeps the gauges of the installation current, until ctx ends.
func WatchOwner(ctx context.Context, o *store.Owner, s *store.Store, m *metrics.Metrics, log io.Writer) {
	duty.WatchOwnership(ctx, o, s, m, logging.NewLogger(log, slog.LevelInfo))
}

// MaySweep reports for checks, one a minute, that were healthy or not, whether the upkeep would sweep.
func MaySweep(after time.Duration, well []bool) (sweeps []bool) {
	u := &duty.Upkeep{SweepAfter: after}
	for i, w := range well {
		sweeps = append(sweeps, u.MaySweep(w, time.Unix(0, 0).Add(time.Duration(i)*time.Minute)))
	}
	return sweeps
}

// RunDeadlineOnce checks once for predictions that take too long, as every worker does each minute.
func RunDeadlineOnce(ctx context.Context, s *store.Store, o objects.Store, after time.Duration, m *metrics.Metrics) error {
	return (&duty.Deadline{
		Store: s.Ledger, Objects: o, After: after, Metrics: m, Log: slog.New(slog.DiscardHandler),
	}).Once(ctx)
}

// CompletePostponed completes postponed links, as the upkeep does, at once.
func CompletePostponed(ctx context.Context, s *store.Store, o objects.Store, log io.Writer) error {
	u := &duty.Upkeep{Store: s, Objects: o, Log: logging.NewLogger(log, slog.LevelInfo)}
	return u.CompletePostponed(ctx)
}
