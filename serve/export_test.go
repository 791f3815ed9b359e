package serve

import (
	"context"
	"log/slog"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/store"
)

// RunWorker works until ctx ends, as the program's own worker does.
func RunWorker(ctx context.Context, s *store.Store, o store.Objects, r *engine.Registry, m *Metrics, l *slog.Logger) {
	newWorker(WorkerConfig{Name: "test"}, s, o, r, m, l).run(ctx)
}

// Operation is a route as the OpenAPI document describes one.
type Operation struct {
	Method, Pattern string
	Open            bool
	Params          []string
}

// Operations lists every route.
func Operations() []Operation {
	var list []Operation
	for _, r := range apiRoutes() {
		if r.asset {
			continue
		}
		list = append(list, Operation{r.method, r.pattern, r.open, r.params})
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
