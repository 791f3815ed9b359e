package api

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
	"github.com/retainwise/millrace/store/circuit"
)

type healthBody struct {
	Status string            `json:"status"`
	Engine string            `json:"engine_version"`
	Checks map[string]string `json:"checks,omitempty"`
	// Refused are the bundles that are not in use because they failed a check.
	Refused []plan.RefusedBundle `json:"refused_bundles,omitempty"`
}

// getHealth says that the process answers, whatever its dependencies do.
func getHealth(_ *server, r *request) error {
	return r.json(http.StatusOK, healthBody{Status: "ok", Engine: engine.Version})
}

const (
	readyTimeout  = 2 * time.Second
	readyFor      = time.Second      // so that many questions make one check
	readyInterval = 10 * time.Second // of the checks beside requests
)

// readiness asks what a process stands on, and remembers the last check. It is safe for concurrent use.
type readiness struct {
	parts Parts

	mu   sync.Mutex
	at   time.Time
	last []dependency
}

func NewReadiness(p Parts) *readiness { return &readiness{parts: p} }

// dependency is what a check found. Requests cannot be served without one that has a code.
type dependency struct {
	name string
	code fault.Code // what requests are answered without it; 0: they are served all the same
	ask  func(context.Context) error
	err  error
	says string // in place of "ok" and "unavailable"
}

// getReady says whether requests can be served: every dependency that they need answers, and a model is loaded. The
// queue is none of these: notifications of the database ring too, and an upkeep looks for dropped files. Nor is a bundle
// that is refused: taking every process out of service for it would take the other models away too.
func getReady(s *server, r *request) error {
	answer := healthBody{Status: "ready", Engine: engine.Version, Checks: map[string]string{}}
	var worst *fault.Failure
	for _, d := range s.ready.check(r.ctx) {
		answer.Checks[d.name] = "ok"
		if d.err != nil {
			answer.Checks[d.name], answer.Status = "unavailable", "degraded"
			if worst == nil && d.code != 0 {
				worst = fault.Fail(d.code, "").Because(d.err)
			}
		}
		if d.says != "" {
			answer.Checks[d.name], answer.Status = d.says, "degraded"
		}
	}
	if worst != nil {
		worst.Status = http.StatusServiceUnavailable
		return worst.With(fault.Details{"checks": answer.Checks})
	}
	if s.Refused != nil {
		answer.Checks["bundles"] = "ok"
		if answer.Refused = s.Refused(); len(answer.Refused) > 0 {
			answer.Checks["bundles"], answer.Status = "refused", "degraded"
		}
	}
	return r.json(http.StatusOK, answer)
}

// Watch keeps the metrics of the dependencies current until ctx ends, whether anybody asks for readiness or not.
func (r *readiness) Watch(ctx context.Context) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, readyInterval) {
		r.check(ctx)
	}
}

// check asks all at the same time, so that one which is silent does not use up the time of the others, and shows in the
// metrics what it found.
func (r *readiness) check(ctx context.Context) []dependency {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) < readyFor {
		return r.last
	}
	asking, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	list := []dependency{
		{name: circuit.Database, code: fault.CodeDatabase, ask: r.parts.Store.Ready},
		{name: circuit.Objects, code: fault.CodeObjectStore, ask: r.askObjects},
		{name: "models", code: fault.CodeInternal, ask: r.askModels},
	}
	if r.parts.Owner != nil {
		list = append(list, dependency{
			name: "installation", code: fault.CodeObjectStore, ask: r.askOwner, says: ownership(r.parts.Owner),
		})
	}
	if r.parts.Queue != nil {
		list = append(list, dependency{name: circuit.Queue, ask: r.parts.Queue.Ping})
	}
	var asked sync.WaitGroup
	for i := range list {
		asked.Go(func() { list[i].err = fault.Guarded(func() error { return list[i].ask(asking) }) })
	}
	asked.Wait()
	if ctx.Err() != nil { // the caller left: this says nothing of the dependencies
		return list
	}
	r.last, r.at = list, time.Now()
	for _, d := range list {
		up := 1.0
		if d.err != nil {
			up = 0
		}
		r.parts.Metrics.Dependences.WithLabelValues(d.name).Set(up)
	}
	return list
}

func (r *readiness) askObjects(ctx context.Context) error {
	return store.PingObjects(ctx, r.parts.Objects)
}

func (r *readiness) askModels(context.Context) error {
	if len(r.parts.Models.List()) == 0 {
		return errors.New("no model is loaded")
	}
	return nil
}
