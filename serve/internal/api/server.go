// Package api is the customers' HTTP server. routes.go lists every route; server.go is the path of a request to its handler:
// begin, admit (framing, route, authentication, rate limit, parameters), handle, finish. Each handler is in the file of its
// noun; upload.go is the whole path of an upload. What a worker needs as well belongs in plan, what needs no route in wire,
// the operators' routes in admin.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/customer"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
)

// Config configures the API. Zero fields mean their defaults.
type Config struct {
	PublicURL      string        // prefix of links; empty means that links are paths
	SupportURL     string        // prefix of support_url; default PublicURL + "/errors"
	Origins        []string      // CORS: the allowed origins, compared exactly
	UploadBytesMax int64         // bytes of an uploaded file, compressed or not; default 50 MB
	UploadLimits   ingest.Limits // of a file's content; RowsMax defaults to 100,000
	DirectBytesMax int64         // bytes of a direct upload to the bucket; default and maximum 5 GiB
	ScoreRowsMax   int64         // rows of POST /score; default 20,000
	ScoreBytesMax  int64         // bytes of POST /score, which answers from memory; default 16 MB
	Retain         time.Duration // how long results are kept; 0 is forever
	Cores          int           // for one POST /score; default all
	Scorer         engine.Scorer // default compiled
	Rates          *limit.Rates  // nil means the published rates
	HSTS           time.Duration // max-age of Strict-Transport-Security; 0 sends none
	// Development lets the page sign in with a token in its address, which the start prints.
	Development bool
	// TrustedProxies are the networks of proxies whose X-Forwarded-For is used.
	TrustedProxies []netip.Prefix
	Places         place.Config // what requests may hold at the same time
}

// Parts are the dependencies of the API.
type Parts struct {
	Store   *store.Store
	Objects objects.Store
	Owner   *store.Owner // of the objects; nil disables the check before they are deleted
	Queue   *queue.Queue // nil without a queue
	Models  *engine.Registry
	Kept    *plan.KeptModels            // nil: of Models, Store and Objects
	Refused func() []plan.RefusedBundle // lists the refused bundles; nil without a directory of bundles
	Auth    *auth.Verifier
	Metrics *metrics.Metrics
	Log     *slog.Logger
	Samples func(model string) ([]byte, bool) // sample CSV of a model; nil: none
	// CustomerKey hashes customer ids of outcomes, and users in the log.
	CustomerKey customer.Key
	// Background is the background of this process's worker, which small uploads preempt; nil without a worker.
	Background *engine.Background
}

// Server is the customers' HTTP server.
type Server struct {
	http *fasthttp.Server
	app  *server
}

// server is the state that handlers share. It is immutable after the start, except for fields that are safe for concurrent
// use.
type server struct {
	Config
	Parts
	routes      []route
	pages       fault.ErrorPages
	limiter     *limit.Limiter
	users       *auth.UserCache
	keys        *auth.KnownKeys
	places      *place.Table
	blocks      wire.SpoolBlocks // for results in memory
	copies      copyBuffers      // buffers for downloads
	compressors *wire.Compressors
	packing     wire.Turns // of downloads that are compressed or converted
	assets      *assets
	pushed      pushedViews
	base        context.Context
	stop        context.CancelFunc
	leaving     atomic.Bool // not ready any more; requests are served
	draining    atomic.Bool // requests are refused
	proxySeen   sync.Once   // for the warning about a proxy that is not trusted
	ready       *readiness
	// descriptions returns where each operation is described; see readDescriptions.
	descriptions func() (map[string]string, error)
}

const (
	HeaderTimeout = 10 * time.Second
	IdleTimeout   = 60 * time.Second
	writeTimeout  = 30 * time.Second
	HeaderMax     = 16 << 10
)

// NewServer returns the customers' server. A nil Log discards log lines.
func NewServer(cfg Config, parts Parts) *Server {
	s := newServer(cfg, parts)
	return &Server{app: s, http: &fasthttp.Server{
		Handler:        s.serve,
		ErrorHandler:   s.answerUnparsed,
		HeaderReceived: s.headerReceived,
		ExpectHandler:  s.expect,
		Logger:         fasthttpLog{parts.Log},

		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		SecureErrorLogMessage:        true,
		CloseOnShutdown:              true,

		ReadTimeout:    HeaderTimeout,
		WriteTimeout:   writeTimeout, // streams set their own as they go
		IdleTimeout:    IdleTimeout,
		ReadBufferSize: HeaderMax,
		Concurrency:    s.places.Connections.Max + connsClosing, // the listener has counted them
		ConnState:      endOfRequest,
	}}
}

// connsClosing is how many connections may be closing gracefully while others have their places.
const connsClosing = 1024

func newServer(cfg Config, parts Parts) *server {
	cfg = cfg.withDefaults()
	if parts.Log == nil {
		parts.Log = slog.New(slog.DiscardHandler)
	}
	if parts.Kept == nil {
		kept := plan.KeptParts{Registry: parts.Models, Objects: parts.Objects, Metrics: parts.Metrics, Log: parts.Log}
		if parts.Store != nil {
			kept.Models = parts.Store.Models
		}
		parts.Kept = plan.NewKeptModels(kept)
	}
	base, stop := context.WithCancel(context.Background())
	places := place.NewTable(cfg.Places)
	parts.Metrics.WatchPlaces(places)
	limiter := limit.New(*cfg.Rates, time.Now)
	if parts.Store != nil {
		limiter.Spend = parts.Store.Accounts.Spend
	}
	return &server{
		Config: cfg, Parts: parts, routes: Routes(), pages: fault.ErrorPages{Base: cfg.SupportURL},
		limiter: limiter, users: auth.NewUserCache(parts.Store.Accounts), keys: auth.NewKnownKeys(nil), ready: NewReadiness(parts),
		places: places, base: base, stop: stop,
		compressors: wire.NewCompressors(runtime.GOMAXPROCS(0)), packing: wire.NewTurns(packersMax(cfg.Cores)), assets: newAssets(),
		descriptions: sync.OnceValues(readDescriptions),
	}
}

func (c Config) withDefaults() Config {
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	c.SupportURL = strings.TrimSuffix(c.SupportURL, "/")
	if c.SupportURL == "" {
		c.SupportURL = c.PublicURL + "/errors"
	}
	orElse(&c.UploadBytesMax, 50<<20)
	orElse(&c.UploadLimits.RowsMax, 100_000)
	orElse(&c.UploadLimits.UnpackedMax, 4*c.UploadBytesMax)
	orElse(&c.DirectBytesMax, plan.DirectBytesMax)
	c.DirectBytesMax = min(c.DirectBytesMax, plan.DirectBytesMax)
	orElse(&c.ScoreRowsMax, 20_000)
	orElse(&c.ScoreBytesMax, 16<<20)
	orElse(&c.Places.Scores, scoreSlots())
	if c.Rates == nil {
		rates := limit.DefaultRates()
		c.Rates = &rates
	}
	return c
}

func orElse[T int | int64](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// Serve answers requests on a listener until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	counted := &place.Listener{
		Listener: l, Pool: s.app.places.Connections, Caller: s.app.connectionCaller, Refusal: s.app.connectionRefused(),
	}
	if err := s.http.Serve(wire.GracefulListener{Listener: counted}); err != nil {
		return fmt.Errorf("serve API: %w", err)
	}
	return nil
}

// Leave makes GET /ready answer 503, so that balancers send their requests elsewhere. All requests are served as before,
// but each is the last one on its connection.
func (s *Server) Leave() { s.app.leaving.Store(true) }

// Shutdown drains: it stops listening, waits for running requests until ctx ends, and then cancels their contexts.
func (s *Server) Shutdown(ctx context.Context) error {
	s.app.draining.Store(true)
	err := s.http.ShutdownWithContext(ctx)
	s.app.stop()
	if err != nil {
		return fmt.Errorf("shut down API: %w", err)
	}
	return nil
}

// headerReceived limits what fasthttp reads of a body to one byte, so that the handler runs, and may refuse the request,
// before the body has arrived. From then on the handler sets the deadlines.
func (s *server) headerReceived(*fasthttp.RequestHeader) fasthttp.RequestConfig {
	return fasthttp.RequestConfig{MaxRequestBodySize: 1}
}

// admitted is the key of the request that expect passes on to serve.
type admitted struct{}

// expect admits or refuses a request whose client waits before it sends the body ("Expect: 100-continue").
func (s *server) expect(rc *fasthttp.RequestCtx) int {
	r := s.begin(rc)
	if err := s.admit(r); err != nil {
		s.finish(r, err)
		return rc.Response.StatusCode()
	}
	rc.SetUserValue(admitted{}, r)
	return fasthttp.StatusContinue
}

// serve answers one request.
func (s *server) serve(rc *fasthttp.RequestCtx) {
	r, ok := rc.UserValue(admitted{}).(*request)
	var err error
	if !ok || r.answered {
		r = s.begin(rc)
		err = s.admit(r)
	}
	if err == nil {
		err = s.handle(r)
	}
	s.finish(r, err)
}

func (s *server) begin(rc *fasthttp.RequestCtx) *request {
	r := &request{
		rc: rc, started: time.Now(), id: RequestID(rc.Request.Header.Peek("X-Request-Id")),
		method: string(rc.Method()), ctx: s.base, cancel: func() {}, compressors: s.compressors,
		places: s.places, blocks: &s.blocks,
	}
	wire.AllowAll(rc.Conn()) // a body before it may not have been read to its end
	target, _, _ := strings.Cut(string(rc.Request.Header.RequestURI()), "?")
	r.path = target
	r.address = s.clientKey(r)
	s.Metrics.RequestsRunning.Inc()
	if r.conn, _ = wire.Below(rc.Conn()).(*place.Conn); r.conn != nil {
		r.conn.Request = r
		r.conn.Place.Busy(true)
		r.onEnd(func() { r.conn.Place.Busy(false) })
	}
	r.onEnd(func() { s.abandon(r) })
	return r
}

// endOfRequest ends what the request of a connection holds: its answer was sent, or the connection has closed.
func endOfRequest(c net.Conn, state fasthttp.ConnState) {
	if state != fasthttp.StateIdle && state != fasthttp.StateClosed {
		return
	}
	if counted, ok := wire.Below(c).(*place.Conn); ok {
		counted.End()
	}
}

// connectionCaller names the caller that a connection counts for, its client's address. A trusted proxy's requests count
// for those that it forwards them for: see countForwarded.
func (s *server) connectionCaller(remote net.Addr) string {
	if isTrusted(remote, s.TrustedProxies) {
		return ""
	}
	return clientKey(remote, nil, nil)
}

// connectionRefused is the answer on a connection for which there is no place.
func (s *server) connectionRefused() []byte {
	f := fault.Fail(fault.CodeBusy, "").With(fault.Details{"limit": s.places.Connections.CallerMax, "unit": s.places.Connections.Unit})
	id := RequestID(nil)
	text, mediaType := s.pages.Body(f, id, "", false)
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n"+
		"Retry-After: %d\r\nConnection: close\r\n\r\n%s", mediaType, len(text), id, limit.WholeSeconds(f.RetryDelay()), text)
}

// countForwarded counts the connection of a trusted proxy for the client that the request comes from, until it has ended.
func (s *server) countForwarded(r *request) error {
	if r.conn == nil || r.route.probe || !isTrusted(r.rc.RemoteAddr(), s.TrustedProxies) {
		return nil
	}
	r.onEnd(func() { _ = r.conn.Place.Assign("") })
	return r.conn.Place.Assign(r.address)
}

// LogBounds logs how much requests can hold at the same time.
func (s *Server) LogBounds() {
	places := s.app.places
	s.app.Log.Info("memory of requests is bounded", "bytes", places.Bytes(), "kernel_bytes", places.KernelBytes(), "limit", places.String())
}

// packersMax is how many downloads are compressed or converted at the same moment: the other cores are left to scoring and
// to the process itself. cores 0: all.
func packersMax(cores int) int {
	if cores <= 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	return max(1, cores/2)
}

// admit checks what needs the header only: framing, route, authentication, rate limit, parameters and Content-Length.
func (s *server) admit(r *request) error {
	s.commonHeaders(r)
	if s.leaving.Load() {
		r.rc.SetConnectionClose()
	}
	if f := wire.CheckFraming(&r.rc.Request.Header); f != nil {
		return f
	}
	found, value, allow := lookup(s.routes, r.method, r.path)
	if found == nil {
		return s.noRoute(r, allow)
	}
	if f := wire.CheckNoBody(&r.rc.Request.Header); f != nil {
		return f
	}
	r.route, r.value = found, value
	if err := s.countForwarded(r); err != nil {
		return err
	}
	timeout := found.timeout
	if timeout == 0 {
		timeout = ControlTimeout
	}
	r.ctx, r.cancel = context.WithTimeout(s.base, timeout)
	if s.draining.Load() && found.Pattern != "/health" { // a draining process is alive
		return fault.Fail(fault.CodeShuttingDown, "")
	}
	if err := s.authenticateAndLimit(r); err != nil {
		return err
	}
	if f := r.parseQuery(); f != nil {
		return f
	}
	return s.checkContentLength(r)
}

// checkContentLength refuses a body that is announced to be too large, before it is sent.
func (s *server) checkContentLength(r *request) error {
	if length := int64(r.rc.Request.Header.ContentLength()); r.route.Body && length > s.UploadBytesMax+multipartExtra {
		return fault.TooLarge(s.UploadBytesMax, "bytes")
	}
	return nil
}

// noRoute answers a request without a route: OPTIONS (CORS preflight), or an error, to which the rate limit applies.
func (s *server) noRoute(r *request, allow []string) error {
	if allow != nil && r.method == fasthttp.MethodOptions {
		r.route = &route{Pattern: "options", Open: true, handle: answerOptions}
		r.set("Allow", strings.Join(allow, ", "))
		return nil
	}
	r.ctx, r.cancel = context.WithTimeout(s.base, ControlTimeout)
	if err := s.limitUnrouted(r); err != nil {
		return err
	}
	if allow == nil {
		return fault.Fail(fault.CodeNoSuchRoute, "")
	}
	f := fault.Fail(fault.CodeWrongMethod, "").With(fault.Details{"expected": allow})
	f.Allow = strings.Join(allow, ", ")
	return f
}

// handle runs the handler of the route. A panic fails this request only, with an internal error.
func (s *server) handle(r *request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.Log.Error("request panicked", "request_id", r.id, "route", r.routeLabel(),
				"panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			err = fault.Fail(fault.CodeInternal, "")
		}
	}()
	return r.route.handle(s, r)
}

// fasthttpLog logs what fasthttp reports about connections.
type fasthttpLog struct{ log *slog.Logger }

// Printf implements fasthttp.Logger. Arguments may quote a request, so only the format is kept.
func (l fasthttpLog) Printf(format string, _ ...any) {
	l.log.Warn("http server", "error", format)
}
