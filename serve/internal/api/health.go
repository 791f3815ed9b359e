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

// getHealth is the liveness check: it answers, whatever the state of the dependencies.
func getHealth(_ *server, r *request) error {
	return r.json(http.StatusOK, healthBody{Status: "ok", Engine: engine.Version})
}

const (
	readyTimeout  = 2 * time.Second
	lateGrace     = 200 * time.Millisecond // for a check to return when its time is over
	readyFor      = time.Second            // how long a check is cached
	readyInterval = 10 * time.Second       // of the checks that keep the metrics current
)

// readiness checks the dependencies of a process and caches the last check. It is safe for concurrent use.
type readiness struct {
	parts Parts

	mu   sync.Mutex
	at   time.Time
	last []dependency
	late map[string]chan error // checks that have not returned, by dependency: at most one each
}

// NewReadiness returns the check of a process; it reads the Store, Objects, Owner, Queue, Models and Metrics of its parts.
func NewReadiness(p Parts) *readiness { return &readiness{parts: p, late: map[string]chan error{}} }

// dependency is a check and its result. Without a dependency that has a code, requests cannot be served.
type dependency struct {
	name  string
	code  fault.Code // of requests while it is unavailable; 0 if they do not need it
	check func(context.Context) error
	err   error
	state string // shown in place of "ok" or "unavailable" if not empty
}

// getReady is the readiness check: every dependency that requests need is available, and a model is loaded. The queue is
// not needed: workers are also woken by the database, and the upkeep finds dropped files. Nor does a refused bundle count:
// it would take every process, and with it the other models, out of service. A process that is about to shut down is not
// ready.
func getReady(s *server, r *request) error {
	if s.leaving.Load() {
		return fault.Fail(fault.CodeShuttingDown, "")
	}
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
		if d.state != "" {
			answer.Checks[d.name], answer.Status = d.state, "degraded"
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

// Watch checks the dependencies every ten seconds until ctx ends, so that their metrics are current without requests.
func (r *readiness) Watch(ctx context.Context) {
	for ; ctx.Err() == nil; backoff.Pause(ctx, readyInterval) {
		r.check(ctx)
	}
}

// check checks all dependencies concurrently, so that a stalled one does not use up the time of the others, and sets their
// metrics.
func (r *readiness) check(ctx context.Context) []dependency {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) < readyFor {
		return r.last
	}
	list := []dependency{
		{name: circuit.Database, code: fault.CodeDatabase, check: r.parts.Store.Ready},
		{name: circuit.Objects, code: fault.CodeObjectStore, check: r.checkObjects},
		{name: "models", code: fault.CodeInternal, check: r.checkModels},
	}
	if r.parts.Owner != nil {
		list = append(list, dependency{
			name: "installation", code: fault.CodeObjectStore, check: r.checkOwner, state: ownership(r.parts.Owner),
		})
	}
	if r.parts.Queue != nil {
		list = append(list, dependency{name: circuit.Queue, check: r.parts.Queue.Ping})
	}
	r.checkAll(ctx, list)
	if ctx.Err() != nil { // cancelled by the caller: no statement about the dependencies
		return list
	}
	r.last, r.at = list, time.Now()
	for _, d := range list {
		up := 1.0
		if d.err != nil {
			up = 0
		}
		r.parts.Metrics.DependencyUp.WithLabelValues(d.name).Set(up)
	}
	return list
}

// checkAll checks the dependencies of a list for about readyTimeout. One that is stuck in the operating system, as a file
// of a directory on a network may be for hours, has failed, and is not checked again before it returns.
func (r *readiness) checkAll(ctx context.Context, list []dependency) {
	checkCtx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	waitCtx, stop := context.WithTimeout(ctx, readyTimeout+lateGrace)
	defer stop()
	for i, d := range list {
		if len(r.late[d.name]) > 0 { // it has returned since
			delete(r.late, d.name)
		}
		if r.late[d.name] == nil {
			done := make(chan error, 1)
			r.late[d.name] = done
			go func() { done <- fault.Recover(func() error { return d.check(checkCtx) }) }()
			continue
		}
		list[i].err = errStuck
	}
	for i, d := range list {
		if d.err != nil {
			continue
		}
		select {
		case list[i].err = <-r.late[d.name]:
			delete(r.late, d.name)
		case <-waitCtx.Done():
			list[i].err = errStuck
		}
	}
}

var errStuck = errors.New("the check does not return")

func (r *readiness) checkObjects(ctx context.Context) error {
	return store.PingObjects(ctx, r.parts.Objects)
}

func (r *readiness) checkModels(context.Context) error {
	if len(r.parts.Models.List()) == 0 {
		return errors.New("no model is loaded")
	}
	return nil
}
