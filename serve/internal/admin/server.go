// Package admin is the operators' HTTP server: metrics, pprof, bundles, pushed models and their health, dead letters and their
// retry, the ownership of the object store. It checks no tokens, so it listens on loopback or a private network. What
// customers call belongs in api.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
)

// Server is the operators' HTTP server, and in development the endpoint of the signing keys.
type Server struct {
	http *http.Server
}

// Parts are the dependencies of the operators' server.
type Parts struct {
	Store   *store.Store
	Owner   *store.Owner // nil disables /installation
	Metrics *metrics.Metrics
	Models  *engine.Registry
	Kept    *plan.KeptModels            // nil disables the catalog of models
	Refused func() []plan.RefusedBundle // lists the refused bundles; nil without a directory of bundles
	Log     *slog.Logger
	Issuer  *auth.DevelopmentIssuer // nil disables the signing keys
	Hosts   []string                // names in lower case that the listener answers under, beside its addresses
	// SupportURL is the prefix of support_url; empty means a path of the API.
	SupportURL string
}

// JWKSPath is the path of the development signing keys.
const JWKSPath = "/.well-known/jwks.json"

// Admin has the handlers of the operators' server.
type Admin struct {
	Parts
	pages fault.ErrorPages
}

// NewServer returns the operators' server. A nil Log discards log lines.
func NewServer(parts Parts) *Server {
	if parts.Log == nil {
		parts.Log = slog.New(slog.DiscardHandler)
	}
	a := &Admin{Parts: parts, pages: fault.ErrorPages{Base: cmp.Or(parts.SupportURL, "/errors")}}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", parts.Metrics.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", programName)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /bundles", a.handle(a.listBundles))
	mux.Handle("POST /models/{sha256}/withdraw", a.handle(a.requireWorkerLogin(a.withdrawModel)))
	mux.Handle("GET /models/{name}/health", a.handle(a.requireWorkerLogin(a.modelHealth)))
	if parts.Kept != nil {
		a.handleCatalog(mux)
	}
	mux.Handle("GET /dead-letters", a.handle(a.requireWorkerLogin(a.listDeadLetters)))
	mux.Handle("GET /dead-letters/{id}", a.handle(a.requireWorkerLogin(a.listAttempts)))
	mux.Handle("POST /dead-letters/{id}/retry", a.handle(a.requireWorkerLogin(a.retry)))
	mux.Handle("POST /dead-letters/retry", a.handle(a.requireWorkerLogin(a.retryMany)))
	mux.Handle("POST /predictions/{id}/cancel", a.handle(a.requireWorkerLogin(a.cancel)))
	mux.Handle("GET /installation", a.handle(a.requireWorkerLogin(a.installation)))
	mux.Handle("POST /webhooks/retry", a.handle(a.requireWorkerLogin(a.RetryWebhooks)))
	if parts.Issuer != nil {
		keys := parts.Issuer.JWKS()
		mux.HandleFunc("GET "+JWKSPath, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = w.Write(keys)
		})
	}
	return &Server{http: &http.Server{
		Handler: a.guard(mux), ReadHeaderTimeout: api.HeaderTimeout, IdleTimeout: api.IdleTimeout, MaxHeaderBytes: api.HeaderMax,
		ErrorLog: slog.NewLogLogger(parts.Log.Handler(), slog.LevelWarn),
	}}
}

// Serve answers requests on a listener until Shutdown.
func (a *Server) Serve(l net.Listener) error {
	if err := a.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin: %w", err)
	}
	return nil
}

// Shutdown stops listening and waits for running requests until ctx ends.
func (a *Server) Shutdown(ctx context.Context) error {
	if err := a.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("shut down admin: %w", err)
	}
	return nil
}

// handleCatalog adds the routes of pushed models, their aliases and the defaults.
func (a *Admin) handleCatalog(mux *http.ServeMux) {
	mux.Handle("GET /models", a.handle(a.requireWorkerLogin(a.listModels)))
	mux.Handle("POST /models", a.handleWithin(pushTimeout, a.requireWorkerLogin(a.pushModel)))
	mux.Handle("POST /models/{model}/retire", a.handle(a.requireWorkerLogin(a.retireModel)))
	mux.Handle("POST /model-aliases/{alias}", a.handle(a.requireWorkerLogin(a.setAlias)))
	mux.Handle("DELETE /model-aliases/{alias}", a.handle(a.requireWorkerLogin(a.removeAlias)))
	mux.Handle("POST /model-aliases/{alias}/rollback", a.handle(a.requireWorkerLogin(a.rollBack)))
	mux.Handle("POST /model-defaults", a.handle(a.requireWorkerLogin(a.setDefault)))
	mux.Handle("DELETE /model-defaults", a.handle(a.requireWorkerLogin(a.removeDefault)))
}

// handle answers with the value or the error of f as JSON.
func (a *Admin) handle(f func(*http.Request) (any, error)) http.Handler {
	return a.handleWithin(api.ControlTimeout, f)
}

// handleWithin is [Admin.handle] with a timeout, also for the body.
func (a *Admin) handleWithin(timeout time.Duration, f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(timeout))
		ctx, cancel := context.WithTimeout(req.Context(), timeout)
		defer cancel()
		v, err := f(req.WithContext(ctx))
		a.answer(w, req, v, err)
	})
}

// requireWorkerLogin refuses operations on all users' predictions in a process whose database login is the API's: row
// level security would make its lists empty, which would be wrong.
func (a *Admin) requireWorkerLogin(f func(*http.Request) (any, error)) func(*http.Request) (any, error) {
	return func(req *http.Request) (any, error) {
		if a.Store.MayWork() {
			return f(req)
		}
		return nil, fault.Fail(fault.CodeNotAllowed, "The database login of this process is for requests alone and may not see "+
			"everybody's predictions. Ask the admin listener of a worker, which has LOADER_DATABASE_URL.")
	}
}

// deadLetter is a prediction that was given up.
type deadLetter struct {
	PredictionID string       `json:"prediction_id"`
	Status       store.Status `json:"status"`
	Generation   int          `json:"generation"`
	Model        string       `json:"model"`
	ModelVersion string       `json:"model_version"`
	Error        *failureView `json:"error"`
	FinishedAt   string       `json:"finished_at"`
}

type deadPage struct {
	DeadLetters []deadLetter `json:"dead_letters"`
	NextCursor  *string      `json:"next_cursor"`
}

func (a *Admin) listDeadLetters(req *http.Request) (any, error) {
	after, err := api.ParseCursor(req.FormValue("cursor"))
	if err != nil {
		return nil, err
	}
	list, err := a.Store.Upkeep.DeadLetters(req.Context(), store.DeadFilter{}, after, api.ListMax+1)
	if err != nil {
		return nil, err
	}
	page := deadPage{DeadLetters: []deadLetter{}}
	if len(list) > api.ListMax {
		list = list[:api.ListMax]
		page.NextCursor = api.Optional(api.CursorText(list[api.ListMax-1].Cursor()))
	}
	for _, d := range list {
		page.DeadLetters = append(page.DeadLetters, newDeadLetter(d))
	}
	return page, nil
}

func newDeadLetter(d store.DeadLetter) deadLetter {
	letter := deadLetter{
		PredictionID: d.ID.String(), Status: d.Status, Generation: d.Generation, Model: d.Model.Name,
		ModelVersion: d.Model.Version, FinishedAt: wire.TimeText(d.FinishedAt),
	}
	if d.Error != nil {
		view := newFailureView(*d.Error)
		letter.Error = &view
	}
	return letter
}

// attemptView is a failed attempt at a part.
type attemptView struct {
	Generation int         `json:"generation"`
	Part       *int        `json:"part"`
	Attempt    int         `json:"attempt"`
	Worker     string      `json:"worker"`
	Error      failureView `json:"error"`
	FailedAt   time.Time   `json:"failed_at"`
}

func (a *Admin) listAttempts(req *http.Request) (any, error) {
	id, err := uuid.Parse(req.PathValue("id"))
	if err != nil {
		return nil, fault.Fail(fault.CodePredictionNotFound, "")
	}
	list, err := a.Store.Upkeep.Attempts(req.Context(), id)
	if err != nil {
		return nil, err
	}
	views := []attemptView{}
	for _, t := range list {
		views = append(views, attemptView{t.Generation, t.Part, t.Attempt, t.Worker, newFailureView(t.Failure), t.FailedAt})
	}
	return map[string]any{"attempts": views}, nil
}

// cancel cancels a prediction of any user.
func (a *Admin) cancel(req *http.Request) (any, error) {
	id, err := uuid.Parse(req.PathValue("id"))
	if err != nil {
		return nil, fault.Fail(fault.CodePredictionNotFound, "")
	}
	p, err := a.Store.Upkeep.CancelAny(req.Context(), id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"prediction_id": id.String(), "status": p.Status}, nil
}

// retry retries a dead letter from scratch, with the model that it is pinned to.
func (a *Admin) retry(req *http.Request) (any, error) {
	id, err := uuid.Parse(req.PathValue("id"))
	if err != nil {
		return nil, fault.Fail(fault.CodePredictionNotFound, "")
	}
	if err := a.Store.Upkeep.Retry(req.Context(), id, store.Model{}); err != nil {
		return nil, err
	}
	return map[string]any{"prediction_id": id.String(), "status": store.Queued}, nil
}

// RetryWebhooks queues the dead letters of webhooks again.
func (a *Admin) RetryWebhooks(req *http.Request) (any, error) {
	n, err := a.Store.Announcements.Revive(req.Context())
	if err != nil {
		return nil, err
	}
	return map[string]int{"webhooks": n}, nil
}
