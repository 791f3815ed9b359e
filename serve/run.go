// Package serve is millrace as a process: [Run] opens the dependencies that a configuration names, starts what its role
// needs and stops it in order. Only configuration and wiring belong here. The rooms are below internal; each may import
// those below it in this list, and none above it (the borders test holds that):
//
//	admin      the operators' listener: metrics, pprof, dead letters and retries, bundles, the installation
//	api        the customers' listener: routes.go lists the routes, upload.go is the path of an upload
//	work       the worker: worker.go claims and renews leases, score.go scores a part, finish.go joins the parts and
//	           publishes, failure.go retries, postpones or fails
//	duty       background loops: upkeep lock and sweeps, canary, webhooks, queue handler, deadlines, ownership
//	plan       what api, work and duty share: which model, which parts, which options; the bundles in use
//	auth       bearer tokens, signing keys (JWKS), cached users
//	metrics    every metric by name
//	wire       HTTP and formats without routes: framing, compression, digests, filenames, CSV, JSON and Arrow tables
//	limit      rate limits
//	strictjson JSON of callers, which no two parsers can read differently
//	place      what requests hold at the same time: connections, memory, uploads, scores, downloads, event streams
//	storefault the mapping from any error to a published code
//	fault      the published codes, and the mapping from errors of files and models to them
//	logging    the JSON logger and its allowed keys
package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/internal/admin"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/work"
	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/queue"
)

// Role says what a process does.
type Role string

// The roles of a process.
const (
	RoleAll    Role = "all"
	RoleAPI    Role = "api"
	RoleWorker Role = "worker"
)

// RunConfig is the configuration of a process. Fields that are empty mean embedded parts: see dependencies.go.
type RunConfig struct {
	Role        Role
	Listen      string // address of the API
	TLS         TLSFiles
	AdminListen string // address of metrics, pprof and dead letters; keep it private
	// AdminHosts are the names that the admin listener answers under, beside loopback and the address that it is reached by.
	AdminHosts []string
	DataDir    string // where embedded parts store their data
	Migrations fs.FS
	Samples    func(model string) ([]byte, bool)
	BundleDir  string // bundles beside the baselines, one directory each; empty: none

	DatabaseURL string // empty: a private PostgreSQL in DataDir
	// LoaderURL is the login of workers; DatabaseURL is then the login of the API only. Empty: both use DatabaseURL.
	LoaderURL     string
	MigratedApart bool             // the schema is checked, not migrated: migration is a separate step
	DatabaseConns int32            // of the pool; default 30
	DatabaseKept  int32            // of these, kept open while idle; default none
	S3            objects.S3Config // no bucket: a directory in DataDir
	Queue         queue.Config     // no URL: PostgreSQL's notifications alone
	Auth          auth.Config      // no JWKS URL: development tokens
	API           api.Config
	Worker        work.Config
	// CustomerSecret hides customers' ids where rows are kept for retraining: the same in all processes, at least
	// store.CustomerSecretMin bytes. Empty: a random one in DataDir.
	CustomerSecret string
	Lease          time.Duration // how long a claim lasts when its worker dies; default 30 s
	Retain         time.Duration // how long results are kept after the end of their prediction; 0 is forever
	// SweepAfter is how long database and object store must have been healthy before a process deletes orphaned objects;
	// default 10 min.
	SweepAfter time.Duration
	WaitingMax int // unfinished predictions of a user; 0 is unlimited
	// PredictionTimeout is how long after its first claim a prediction fails; 0 disables it. Outages are not counted.
	PredictionTimeout time.Duration
	// DrainDelay is how long the API goes on serving after the process was stopped, while GET /ready answers 503: longer
	// than balancers take to notice. 0: the listener is closed at once.
	DrainDelay time.Duration
	Canary     time.Duration      // interval of the canary, a known file that is uploaded and checked; 0 disables it
	Webhook    duty.WebhookConfig // no URL disables webhooks
	Log        *slog.Logger

	circuits *circuit.Group // circuit breakers of this process, which the metrics show
}

// Started says where a process listens and what it uses.
type Started struct {
	API, Admin string // base URLs; API is empty for a worker
	Token      string // a development token; empty if an identity provider is configured
	Database   string // in words: "private PostgreSQL in …"
	Objects    string // in words: "the bucket …" or "files in …"
}

const (
	drainTimeout = 10 * time.Second // for requests under way when the process is stopped
	closeTimeout = 20 * time.Second // for embedded parts to stop at shutdown
	sweepAfter   = 10 * time.Minute
)

// Run starts what the configuration asks for, calls started once the listeners are open, and serves until ctx ends. Then
// it drains: after RunConfig.DrainDelay it accepts no new requests; it claims no new work, finishes or releases the work in
// progress and stops everything it has started, within 25 seconds and the delay.
func Run(ctx context.Context, c RunConfig, started func(Started)) (err error) {
	metrics := metrics.NewMetrics()
	c.S3.Observe, c.Queue.Observe, c.circuits = metrics.CallDone, metrics.CallDone, &metrics.Circuits
	if c.SweepAfter == 0 {
		c.SweepAfter = sweepAfter
	}
	deps, err := openDependencies(ctx, c, metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, deps.close()) }()
	metrics.WatchPool(deps.store.PoolState)
	metrics.WatchDeaths(deps.store.Ledger.Deaths)
	metrics.WatchDisk(c.DataDir)
	serving, end := context.WithCancel(context.WithoutCancel(ctx)) // requests are served for a while after ctx has ended
	defer end()
	p, err := newProcess(serving, c, deps, metrics)
	if err != nil {
		return err
	}
	return p.run(ctx, started)
}

// process is the running listeners and loops.
type process struct {
	config        RunConfig
	deps          *dependencies
	api           *api.Server // nil for a worker
	apiListener   net.Listener
	admin         *admin.Server
	adminListener net.Listener
	loops         []func(context.Context) // each ends with its context
	token         string
}

func newProcess(ctx context.Context, c RunConfig, f *dependencies, metrics *metrics.Metrics) (_ *process, err error) {
	p := &process{config: c, deps: f}
	defer func() {
		if err != nil {
			p.closeListeners()
		}
	}()
	if p.adminListener, err = net.Listen("tcp", c.AdminListen); err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	var issuer *auth.DevelopmentIssuer
	if c.Auth.JWKSURL == "" {
		if issuer, err = p.issueTokens(&c); err != nil {
			return nil, err
		}
	}
	if c.BundleDir != "" {
		p.loops = append(p.loops, f.models.Watch)
	}
	p.loops = append(p.loops, f.kept.Watch, f.kept.WatchCatalog)
	p.loops = append(p.loops, func(ctx context.Context) { duty.WatchOwnership(ctx, f.owner, f.store, metrics, c.Log) })
	if f.store.MayWork() {
		p.loops = append(p.loops,
			func(ctx context.Context) { duty.WatchQueue(ctx, f.store.Upkeep, metrics, c.Log) },
			func(ctx context.Context) { duty.WatchHealth(ctx, f.store.Counts, f.kept, metrics, c.Log) })
	}
	ready := api.NewReadiness(api.Parts{
		Store: f.store, Objects: f.objects, Owner: f.owner, Queue: f.queue, Models: f.models.Registry, Metrics: metrics,
	})
	p.loops = append(p.loops, ready.Watch)
	p.admin = admin.NewServer(admin.Parts{
		Store: f.store, Owner: f.owner, Metrics: metrics, Models: f.models.Registry, Kept: f.kept, Refused: f.refusedBundles(), Issuer: issuer,
		Hosts: p.adminHosts(), Log: c.Log,
	})
	var wake func()
	var background *engine.Background
	if c.Role != RoleAPI {
		w, err := p.addWorker(c, metrics)
		if err != nil {
			return nil, err
		}
		wake, background = w.Wake, w.Background
	}
	if c.Role != RoleWorker {
		if err := p.addAPI(ctx, c, metrics, background); err != nil {
			return nil, err
		}
	}
	if c.Role != RoleWorker && c.Canary > 0 {
		p.addCanary(c, metrics)
	}
	p.addQueue(c, metrics, wake)
	return p, nil
}

// adminHosts returns the names of the admin listener in lower case: those that are configured, and that of its address.
func (p *process) adminHosts() (hosts []string) {
	listen, _, _ := net.SplitHostPort(p.config.AdminListen) // it was listened on
	for _, host := range append([]string{listen}, p.config.AdminHosts...) {
		if host != "" {
			hosts = append(hosts, strings.ToLower(host))
		}
	}
	return hosts
}

// addCanary adds the loop of the canary.
func (p *process) addCanary(c RunConfig, metrics *metrics.Metrics) {
	f := p.deps
	canary := &duty.Canary{
		Store: f.store, Objects: f.objects, Models: f.kept, Metrics: metrics, Log: c.Log, Now: time.Now,
	}
	p.loops = append(p.loops, func(ctx context.Context) { canary.Run(ctx, c.Canary) })
}

// addQueue adds the loops of the queue: the relay of the outbox, and in a process with a worker the consumer, which calls
// wake. A nil wake means no worker.
func (p *process) addQueue(c RunConfig, metrics *metrics.Metrics, wake func()) {
	q, s := p.deps.queue, p.deps.store
	if q == nil {
		return
	}
	if s.MayWork() { // else the workers relay the outbox
		p.loops = append(p.loops, func(ctx context.Context) { s.Outbox.Relay(ctx, q, s.Ledger.Listen(ctx)) })
	}
	if wake != nil {
		handler := &duty.QueueHandler{
			Store: s, Objects: p.deps.objects, Files: c.S3, Wake: wake, Count: metrics.SetAside, Log: c.Log,
		}
		handle := func(ctx context.Context, n queue.Notice) error {
			return fault.Recover(func() error { return handler.Handle(ctx, n) })
		}
		p.loops = append(p.loops, func(ctx context.Context) { q.Consume(ctx, handle) })
	}
}

// issueTokens signs a development token and points the verifier at this process's own signing keys.
func (p *process) issueTokens(c *RunConfig) (*auth.DevelopmentIssuer, error) {
	issuer, err := auth.NewDevelopmentIssuer(c.DataDir)
	if err != nil {
		return nil, err
	}
	c.API.Development = true
	c.Auth.JWKSURL = "http://" + p.adminListener.Addr().String() + admin.JWKSPath
	c.Auth.Issuer = auth.DevelopmentIssuerName
	p.token, err = issuer.Token("developer", developmentTokenLife)
	return issuer, err
}

const developmentTokenLife = 30 * 24 * time.Hour

// addWorker adds the loops of a worker: claims, sweeps, upkeep, deadlines and webhooks.
func (p *process) addWorker(c RunConfig, metrics *metrics.Metrics) (*work.Worker, error) {
	f := p.deps
	c.Worker.CustomerKey, c.Worker.Scorer = f.customers, c.API.Scorer
	w := work.New(c.Worker, f.store.Ledger, f.objects, f.kept, metrics, c.Log)
	metrics.WatchBackground(w.Background)
	p.loops = append(p.loops, w.Run, func(ctx context.Context) { duty.Sweep(ctx, f.store, f.objects, c.Log) },
		newUpkeep(c, f).Run)
	if c.PredictionTimeout > 0 {
		p.loops = append(p.loops, (&duty.Deadline{
			Store: f.store.Ledger, Objects: f.objects, After: c.PredictionTimeout, Metrics: metrics, Log: c.Log,
		}).Run)
	}
	if c.Webhook.URL != "" {
		hook, err := duty.NewWebhook(c.Webhook, f.store.Announcements, metrics, c.Log)
		if err != nil {
			return nil, err
		}
		p.loops = append(p.loops, hook.Run)
	}
	return w, nil
}

func (p *process) addAPI(
	ctx context.Context, c RunConfig, metrics *metrics.Metrics, background *engine.Background,
) (err error) {
	verifier, err := auth.NewVerifier(ctx, c.Auth)
	if err != nil {
		return err
	}
	if len(c.Auth.Parties) == 0 && p.token == "" {
		c.Log.Warn("tokens of every application of the issuer are accepted: set AUTH_PARTIES or CORS_ORIGINS")
	}
	if p.apiListener, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if !c.TLS.isSet() {
		c.API.HSTS = 0 // the header counts over TLS only
	}
	if c.TLS.isSet() {
		encrypted, err := c.TLS.wrap(p.apiListener)
		if err != nil {
			return err
		}
		p.apiListener = encrypted
	}
	if c.API.PublicURL == "" {
		c.API.PublicURL = p.apiURL()
	}
	if c.S3.Bucket != "" {
		c.API.Places.UploadBytes = bucketUploadBytes
	}
	p.api = api.NewServer(c.API, api.Parts{
		Store: p.deps.store, Objects: p.deps.objects, Owner: p.deps.owner, Queue: p.deps.queue,
		Models: p.deps.models.Registry, Kept: p.deps.kept, Refused: p.deps.refusedBundles(), CustomerKey: p.deps.customers,
		Background: background,
		Auth:       verifier, Metrics: metrics, Log: c.Log, Samples: c.Samples,
	})
	p.api.LogBounds()
	return nil
}

// bucketUploadBytes is the memory of an upload into a bucket: two parts on their way and one that is read.
const bucketUploadBytes = 3 * 8 << 20

func (p *process) apiURL() string {
	if p.config.TLS.isSet() {
		return "https://" + p.apiListener.Addr().String()
	}
	return "http://" + p.apiListener.Addr().String()
}

func (p *process) closeListeners() {
	for _, l := range []net.Listener{p.apiListener, p.adminListener} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// run serves until ctx ends or a server fails.
func (p *process) run(ctx context.Context, started func(Started)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer p.keepDatabase(ctx, cancel)()
	var servers, loops sync.WaitGroup
	serve := func(f func(net.Listener) error, l net.Listener) {
		servers.Go(func() {
			if err := f(l); err != nil {
				cancel(err)
			}
		})
	}
	serve(p.admin.Serve, p.adminListener)
	if p.api != nil {
		serve(p.api.Serve, p.apiListener)
	}
	for _, work := range p.loops {
		loops.Go(func() { work(ctx) })
	}
	started(p.describe())
	<-ctx.Done()
	p.config.Log.Info("stopping")
	failed := context.Cause(ctx)
	if errors.Is(failed, context.Canceled) {
		failed = nil // stopped
	}
	if p.api != nil && failed == nil && p.config.DrainDelay > 0 {
		p.api.Leave()
		time.Sleep(p.config.DrainDelay)
	}
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer done()
	var err error
	if p.api != nil {
		err = p.api.Shutdown(stop)
		_ = p.apiListener.Close() // a server that has not called Accept yet would otherwise never end
	}
	loops.Wait()
	err = errors.Join(failed, err, p.admin.Shutdown(stop))
	servers.Wait()
	return err
}

// keepDatabase keeps the private PostgreSQL, if there is one, running until the function that it returns is called, which is
// after the drain: it too needs the database. If that is impossible, fail is called.
func (p *process) keepDatabase(ctx context.Context, fail func(error)) (stop func()) {
	if p.deps.own == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var supervisor sync.WaitGroup
	supervisor.Go(func() {
		if err := p.deps.own.Supervise(ctx); err != nil {
			fail(err)
		}
	})
	return func() {
		cancel()
		supervisor.Wait()
	}
}

func (p *process) describe() Started {
	s := Started{
		Admin: "http://" + p.adminListener.Addr().String(), Token: p.token,
		Database: p.deps.databaseText, Objects: p.deps.objectsText,
	}
	if p.api != nil {
		s.API = p.apiURL()
	}
	return s
}

func newUpkeep(c RunConfig, f *dependencies) *duty.Upkeep {
	u := &duty.Upkeep{
		Store: f.store, Objects: f.objects, Owner: f.owner, Retain: c.Retain, Log: c.Log, SweepAfter: c.SweepAfter,
	}
	if c.S3.Bucket != "" {
		u.Inbox = &duty.QueueHandler{Store: f.store, Objects: f.objects, Files: c.S3, Log: c.Log}
	}
	return u
}
