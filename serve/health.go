package serve

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

type healthBody struct {
	Status string            `json:"status"`
	Engine string            `json:"engine_version"`
	Checks map[string]string `json:"checks,omitempty"`
}

// getHealth says that the process answers, whatever its dependencies do.
func getHealth(_ *server, r *request) error {
	return r.json(http.StatusOK, healthBody{Status: "ok", Engine: engine.Version})
}

const (
	readyTimeout = 2 * time.Second
	readyFor     = time.Second // so that many questions make one check
)

// readiness remembers the last check. It is safe for concurrent use.
type readiness struct {
	mu   sync.Mutex
	at   time.Time
	last []dependency
}

// dependency is what a check found. Requests cannot be served without one that has a code.
type dependency struct {
	name string
	code Code // what requests are answered without it; 0: they are served all the same
	ask  func(context.Context) error
	err  error
	says string // in place of "ok" and "unavailable"
}

// getReady says whether requests can be served: every dependency that they need answers, and a model is loaded. The
// queue is none of these: notifications of the database ring too, and an upkeep looks for dropped files.
func getReady(s *server, r *request) error {
	answer := healthBody{Status: "ready", Engine: engine.Version, Checks: map[string]string{}}
	var worst *failure
	for _, d := range s.dependencies(r.ctx) {
		answer.Checks[d.name] = "ok"
		up := 1.0
		if d.err != nil {
			answer.Checks[d.name], answer.Status, up = "unavailable", "degraded", 0
			if worst == nil && d.code != 0 {
				worst = fail(d.code, "").because(d.err)
			}
		}
		if d.says != "" {
			answer.Checks[d.name], answer.Status = d.says, "degraded"
		}
		s.Metrics.dependences.WithLabelValues(d.name).Set(up)
	}
	if worst != nil {
		worst.status = http.StatusServiceUnavailable
		return worst.with(details{"checks": answer.Checks})
	}
	return r.json(http.StatusOK, answer)
}

// dependencies asks all at the same time, so that one which is silent does not use up the time of the others.
func (s *server) dependencies(ctx context.Context) []dependency {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	if time.Since(s.ready.at) < readyFor {
		return s.ready.last
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	list := []dependency{
		{name: store.DependencyDatabase, code: CodeDatabase, ask: s.Store.Ping},
		{name: store.DependencyObjects, code: CodeObjectStore, ask: s.askObjects},
		{name: "models", code: CodeInternal, ask: s.askModels},
	}
	if s.Owner != nil {
		list = append(list, dependency{name: "installation", code: CodeObjectStore, ask: s.askOwner, says: s.ownership()})
	}
	if s.Queue != nil {
		list = append(list, dependency{name: store.DependencyQueue, ask: s.Queue.Ping})
	}
	var asked sync.WaitGroup
	for i := range list {
		asked.Go(func() { list[i].err = list[i].ask(ctx) })
	}
	asked.Wait()
	s.ready.last, s.ready.at = list, time.Now()
	return list
}

func (s *server) askObjects(ctx context.Context) error {
	_, err := s.Objects.Head(ctx, "ready/none")
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (s *server) askModels(context.Context) error {
	if len(s.Models.List()) == 0 {
		return errors.New("no model is loaded")
	}
	return nil
}
