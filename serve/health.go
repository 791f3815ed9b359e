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
	last map[string]error
}

// getReady says whether requests can be served: every dependency answers and a model is loaded.
func getReady(s *server, r *request) error {
	checks := map[string]string{}
	var worst *failure
	for name, err := range s.dependencies(r.ctx) {
		checks[name] = "ok"
		up := 1.0
		if err != nil {
			checks[name], up = "unavailable", 0
			if worst == nil {
				worst = fail(dependencyCodes[name], "").because(err)
			}
		}
		s.Metrics.dependences.WithLabelValues(name).Set(up)
	}
	if worst != nil {
		worst.status = http.StatusServiceUnavailable
		return worst.with(details{"checks": checks})
	}
	return r.json(http.StatusOK, healthBody{Status: "ready", Engine: engine.Version, Checks: checks})
}

var dependencyCodes = map[string]Code{
	"database": CodeDatabase, "object_store": CodeObjectStore, "models": CodeInternal,
}

func (s *server) dependencies(ctx context.Context) map[string]error {
	s.ready.mu.Lock()
	defer s.ready.mu.Unlock()
	if time.Since(s.ready.at) < readyFor {
		return s.ready.last
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var models error
	if len(s.Models.List()) == 0 {
		models = errors.New("no model is loaded")
	}
	_, objects := s.Objects.Head(ctx, "ready/none")
	if errors.Is(objects, store.ErrNotFound) {
		objects = nil
	}
	s.ready.last = map[string]error{"database": s.Store.Ping(ctx), "object_store": objects, "models": models}
	s.ready.at = time.Now()
	return s.ready.last
}
