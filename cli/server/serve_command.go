package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/cluster"
	"github.com/retainwise/millrace/store/queue"
	"github.com/retainwise/millrace/testdata/samples"
)

// serveCommand runs the servers. Without flags, database and object store are embedded.
type serveCommand struct {
	Role        string    `enum:"all,api,worker" default:"all" env:"MILLRACE_ROLE" help:"Role of this process: api accepts uploads and answers requests, worker scores them, all does both."`
	Listen      string    `default:"127.0.0.1:8080" env:"MILLRACE_LISTEN" help:"Listen address of the API."`
	TLSCert     string    `env:"TLS_CERT" help:"PEM file with the API's certificate chain (default: plain HTTP)." placeholder:"FILE"`
	TLSKey      string    `env:"TLS_KEY" help:"PEM file with the private key of the API's certificate." placeholder:"FILE"`
	HSTS        retention `name:"hsts-max-age" env:"HSTS_MAX_AGE" default:"365d" help:"How long browsers shall use HTTPS only, sent as Strict-Transport-Security if TLS_CERT is set (off = not sent)." placeholder:"DURATION"`
	AdminListen string    `default:"127.0.0.1:9090" env:"MILLRACE_ADMIN_LISTEN" help:"Listen address of the admin listener: metrics and operators' routes, without authentication. Keep it private."`
	AdminHosts  []string  `env:"MILLRACE_ADMIN_HOSTS" help:"Host names that the admin listener answers under (default: loopback, and the address that it is reached by)." placeholder:"NAME"`
	Bundles     string    `env:"MILLRACE_BUNDLES" help:"Directory of model bundles to serve in addition to the built-in baselines." placeholder:"DIR"`

	storeFlags
	DatabaseConns int32  `env:"MILLRACE_DATABASE_CONNS" default:"30" help:"Maximum PostgreSQL connections of this process, plus three for LISTEN and one for upkeep."`
	DatabaseKept  int32  `name:"database-conns-kept" env:"MILLRACE_DATABASE_CONNS_KEPT" default:"10" help:"PostgreSQL connections kept open while idle."`
	SQSQueueURL   string `env:"SQS_QUEUE_URL" help:"SQS queue of the bucket's events and of wake-ups for workers (default: PostgreSQL notifications only)." placeholder:"URL"`
	SQSEndpoint   string `env:"SQS_ENDPOINT" help:"SQS endpoint URL (default: AWS)." placeholder:"URL"`

	AuthJWKSURL    string   `name:"auth-jwks-url" aliases:"auth-jwksurl" env:"AUTH_JWKS_URL" help:"JWKS URL of the identity provider's signing keys (default: accept development tokens that millrace signs itself)." placeholder:"URL"`
	AuthIssuer     string   `env:"AUTH_ISSUER" help:"Required issuer (iss) of tokens." placeholder:"NAME"`
	AuthAudience   string   `env:"AUTH_AUDIENCE" help:"Required audience (aud) of tokens (default: not checked)." placeholder:"NAME"`
	AuthParties    []string `env:"AUTH_PARTIES" help:"Applications (azp) whose tokens are accepted (default: the origins in CORS_ORIGINS; any application if neither is set)." placeholder:"ORIGIN"`
	RequireSession bool     `name:"auth-require-session" env:"AUTH_REQUIRE_SESSION" help:"Reject tokens without a session (sid), such as those made from a Clerk template."`
	CORSOrigins    []string `env:"CORS_ORIGINS" help:"Exact origins that browsers may call the API from (default: https://retainwiseanalytics.com and https://www.retainwiseanalytics.com; with development tokens http://localhost:3000 is added)." placeholder:"ORIGIN"`
	TrustedProxies []string `env:"TRUSTED_PROXIES" help:"Networks of proxies whose X-Forwarded-For header is trusted (default: none)." placeholder:"CIDR"`
	PublicURL      string   `env:"PUBLIC_URL" help:"Base URL of the links in answers, such as https://api.example.com (default: the address that the API listens on)." placeholder:"URL"`
	SupportURL     string   `env:"SUPPORT_URL" help:"Base URL of support_url in error answers (default: /errors of this server)." placeholder:"URL"`

	WebhookURL          string   `env:"WEBHOOK_URL" help:"URL that signed webhooks are sent to when a prediction ends (default: no webhooks)." placeholder:"URL"`
	WebhookSecrets      []string `secret:"" env:"WEBHOOK_SECRETS" help:"Secrets that sign webhooks, each as whsec_ followed by base64." placeholder:"SECRET"`
	WebhookAllowPrivate bool     `env:"WEBHOOK_ALLOW_PRIVATE" help:"Allow a webhook URL with a private address or without TLS."`

	UploadBytesMax int64 `env:"UPLOAD_BYTES_MAX" default:"52428800" help:"Maximum bytes of a file uploaded through the API."`
	UploadRowsMax  int64 `env:"UPLOAD_ROWS_MAX" default:"100000" help:"Maximum rows of a file uploaded through the API."`
	DirectBytesMax int64 `env:"DIRECT_BYTES_MAX" default:"5368709120" help:"Maximum bytes of a file put straight into the bucket, through an upload link or under inbox/."`
	DirectRowsMax  int64 `env:"DIRECT_ROWS_MAX" default:"20000000" help:"Maximum rows of a file put straight into the bucket, through an upload link or under inbox/."`
	ScoreRowsMax   int64 `env:"SCORE_ROWS_MAX" default:"20000" help:"Maximum rows of a synchronous scoring request (POST /score)."`
	Connections    int   `name:"connections-max" env:"CONNECTIONS_MAX" default:"2048" help:"Client connections of this process, idle ones included."`
	PerAddress     int   `name:"connections-per-address" env:"CONNECTIONS_PER_ADDRESS" default:"512" help:"Client connections from one address (an IPv6 network of 64 bits); those of TRUSTED_PROXIES count for the clients that they name."`
	UploadsAtOnce  int   `name:"uploads-at-once" env:"UPLOADS_AT_ONCE" default:"0" help:"Files of more than 16 MiB received at the same time, at most half of them from one user (0 = 32, or 10 with a bucket, where each takes more memory)."`
	RateDefault    int   `env:"RATE_DEFAULT" default:"100" help:"Requests per user per minute (0 = unlimited)."`
	RateUpload     int   `env:"RATE_UPLOAD" default:"10" help:"Uploads per user per minute (0 = unlimited)."`
	RateScore      int   `env:"RATE_SCORE" default:"20" help:"Requests to /score and /validate per user per minute (0 = unlimited)."`
	RateDownload   int   `env:"RATE_DOWNLOAD" default:"50" help:"Downloads per user per minute (0 = unlimited)."`
	Cores          int   `env:"MILLRACE_CORES" default:"0" help:"CPU cores used for scoring (0 = all)."`

	CustomerSecret string `secret:"" env:"MILLRACE_CUSTOMER_SECRET" help:"Key that hashes customer ids, at least 32 bytes and the same in all processes (default: a random one in the data directory)." placeholder:"TEXT"`

	Lease       time.Duration `env:"MILLRACE_LEASE" default:"30s" help:"Lease of a part: how long after its worker's last renewal another worker may claim it."`
	PostponeMax time.Duration `env:"MILLRACE_POSTPONE_MAX" default:"24h" help:"How long a file is retried that the object store refuses while it serves other objects."`
	PartBytes   int64         `env:"MILLRACE_PART_BYTES" default:"8388608" help:"Bytes of input per part, the unit that a worker claims, scores and commits."`

	DrainDelay *time.Duration `env:"MILLRACE_DRAIN_DELAY" help:"How long the API goes on serving after SIGTERM, while /ready answers 503, so that balancers stop sending first (default: 5s for --role api, else 0s)." placeholder:"DURATION"`

	WaitingMax        int       `env:"WAITING_MAX" default:"1000" help:"Unfinished predictions per user (0 = unlimited)."`
	PredictionTimeout retention `env:"MILLRACE_PREDICTION_TIMEOUT" default:"24h" help:"Maximum run time of a prediction, outages not counted, before it fails, e.g. 24h or 7d (off = unlimited)."`

	Retain     retention      `env:"MILLRACE_RETAIN" default:"off" help:"How long results and uploads are kept after a prediction ended, e.g. 90d (off = forever)." placeholder:"DURATION"`
	SweepAfter time.Duration  `env:"MILLRACE_SWEEP_AFTER" default:"10m" help:"How long the process, database and object store must have been healthy before orphaned objects are swept."`
	Canary     canaryInterval `env:"MILLRACE_CANARY" default:"1m" help:"Interval of the canary, which scores a known file and compares the result byte by byte, e.g. 1m (off = no canary)." placeholder:"DURATION"`

	Scorer string `enum:"compiled,leaves" default:"compiled" env:"MILLRACE_SCORER" help:"Scoring engine: compiled (with leaves checking a sample) or leaves. Models that leaves cannot load are refused with leaves."`

	Sample string `help:"CSV file to upload through the API after the start; a report of its result is printed." placeholder:"FILE"`
}

// A part is a whole number of chunks, so small parts need smaller chunks.
const (
	partBytesMin = 16 << 10
	chunksOfPart = 8
)

// Run serves until ctx is cancelled, and then drains.
func (c *serveCommand) Run(ctx context.Context, std cli.Streams) error {
	config, err := c.config(serve.NewLogger(std.Err, slog.LevelInfo))
	if err != nil {
		return err
	}
	if c.Sample != "" {
		if _, err := os.Stat(c.Sample); err != nil {
			return cli.Caused(cli.ExitNoInput, err)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Scoring takes all cores; goroutines that do I/O must not wait for the end of a chunk.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(config.Worker.Cores + spareThreads))
	begin := time.Now()
	var sample chan error
	ready := false
	err = serve.Run(ctx, config, func(s serve.Started) {
		ready = true
		if err := c.announce(std, config.DataDir, s, time.Since(begin)); err != nil {
			cancel(err)
		} else if c.Sample != "" {
			sample = make(chan error, 1)
			go func() { // ends with the request; waited for below
				err := uploadSample(ctx, std.Out, s, c.Sample)
				if err != nil {
					cancel(err)
				}
				sample <- err
			}()
		}
	})
	if sample != nil {
		if failed := <-sample; failed != nil && ctx.Err() != nil && context.Cause(ctx) == failed {
			return failed
		}
	}
	if !ready {
		return c.notStarted(err)
	}
	return err
}

// notStarted returns why a server did not start. An error without a cause outside the program is one of the configuration.
func (c *serveCommand) notStarted(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) && errors.Is(err, syscall.EADDRINUSE) {
		flag := "--listen"
		if strings.HasPrefix(err.Error(), "admin listener") {
			flag = "--admin-listen"
		}
		return cli.Plain(cli.ExitTryAgain, "%s is in use by another program: stop it, or choose another address with %s",
			op.Addr, flag)
	}
	return notStarted(err)
}

// notStarted returns why the database or the object store could not be opened.
func notStarted(err error) error {
	if errors.Is(err, cluster.ErrInUse) {
		return cli.Plain(cli.ExitTryAgain, "%v: stop it, or choose another directory with --data-dir", err)
	}
	if err == nil || store.FaultOf(err) == store.FaultInternal || errors.Is(err, context.Canceled) {
		return err
	}
	return cli.Caused(cli.ExitUsage, err)
}

// spareThreads is the number of threads that run Go code in addition to those that score. The operating system shares the
// cores among all of them.
const spareThreads = 2

func (c *serveCommand) config(log *slog.Logger) (serve.RunConfig, error) {
	dir, err := filepath.Abs(cmp.Or(c.DataDir, defaultDataDir(os.Getuid(), homeDir())))
	if err != nil {
		return serve.RunConfig{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return serve.RunConfig{}, err
	}
	if c.drainDelay() < 0 {
		return serve.RunConfig{}, cli.Usage("--drain-delay must not be negative")
	}
	if c.PartBytes < partBytesMin {
		return serve.RunConfig{}, cli.Usage("--part-bytes must be at least %d", partBytesMin)
	}
	cores := c.Cores
	if cores <= 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	api, err := c.apiConfig(cores)
	if err != nil {
		return serve.RunConfig{}, err
	}
	return serve.RunConfig{
		Role: serve.Role(c.Role), Listen: c.Listen, AdminListen: c.AdminListen, AdminHosts: c.AdminHosts,
		TLS:        serve.TLSFiles{Certificate: c.TLSCert, Key: c.TLSKey},
		DataDir:    dir,
		Migrations: migrations.FS, Samples: samples.Of, BundleDir: c.Bundles,
		DatabaseURL: c.DatabaseURL, LoaderURL: c.LoaderURL, MigratedApart: c.MigrateURL != "",
		DatabaseConns: c.DatabaseConns, DatabaseKept: c.DatabaseKept,
		S3:    c.bucket(),
		Queue: queue.Config{URL: c.SQSQueueURL, Endpoint: c.SQSEndpoint, Region: c.S3Region},
		Auth: serve.AuthConfig{
			JWKSURL: c.AuthJWKSURL, Issuer: c.AuthIssuer, Audience: c.AuthAudience, Parties: c.parties(),
			RequireSession: c.RequireSession,
		},
		API: api,
		Worker: serve.WorkerConfig{
			Name: fmt.Sprintf("%s/%d", host, os.Getpid()), Cores: cores,
			PostponeMax: c.PostponeMax,
			Limits:      c.limits(c.DirectRowsMax, c.DirectBytesMax), // a worker scores uploads and direct files
		},
		CustomerSecret: c.CustomerSecret,
		Webhook: serve.WebhookConfig{
			URL: c.WebhookURL, Secrets: c.WebhookSecrets, AllowPrivate: c.WebhookAllowPrivate,
		},
		Lease: c.Lease, DrainDelay: c.drainDelay(),
		Canary: time.Duration(c.Canary),
		Retain: time.Duration(c.Retain), SweepAfter: c.SweepAfter, WaitingMax: c.WaitingMax,
		PredictionTimeout: time.Duration(c.PredictionTimeout),
		Log:               log,
	}, nil
}

// drainDelay is --drain-delay. By default only a process that answers requests alone waits: others of its kind can take them.
func (c *serveCommand) drainDelay() time.Duration {
	switch {
	case c.DrainDelay != nil:
		return *c.DrainDelay
	case c.Role == string(serve.RoleAPI):
		return 5 * time.Second
	}
	return 0
}

// apiConfig returns the configuration of the API.
func (c *serveCommand) apiConfig(cores int) (serve.Config, error) {
	proxies, err := serve.ParseNetworks(c.TrustedProxies)
	if err != nil {
		return serve.Config{}, cli.Usage("--trusted-proxies: %v", err)
	}
	return serve.Config{
		PublicURL: c.PublicURL, SupportURL: c.SupportURL, Origins: c.origins(),
		TrustedProxies: proxies, HSTS: time.Duration(c.HSTS),
		Places: serve.PlaceConfig{
			Connections: c.Connections, ConnectionsPerAddress: c.PerAddress, Uploads: c.UploadsAtOnce,
		},
		UploadBytesMax: c.UploadBytesMax, UploadLimits: c.limits(c.UploadRowsMax, c.UploadBytesMax),
		DirectBytesMax: c.DirectBytesMax, ScoreRowsMax: c.ScoreRowsMax,
		Rates: &serve.RateLimits{
			Default: c.RateDefault, Upload: c.RateUpload, Score: c.RateScore, Download: c.RateDownload,
		},
		Cores: cores, Scorer: engine.Scorer(c.Scorer), Retain: time.Duration(c.Retain),
	}, nil
}

func (c *serveCommand) limits(rows, size int64) ingest.Limits {
	return ingest.Limits{
		RowsMax: rows, BytesMax: size,
		PartBytes: c.PartBytes, ChunkBytes: int(min(c.PartBytes/chunksOfPart, 1<<20)),
	}
}

// origins returns --cors-origins, or by default those of the customer's front end, and with development tokens also that
// of a front end under development.
func (c *serveCommand) origins() []string {
	list := slices.Clone(c.CORSOrigins)
	if len(list) == 0 {
		list = []string{"https://retainwiseanalytics.com", "https://www.retainwiseanalytics.com"}
	}
	const local = "http://localhost:3000"
	if c.AuthJWKSURL == "" && !slices.Contains(list, local) {
		list = append(list, local)
	}
	return list
}

// parties returns the applications whose tokens are accepted: --auth-parties, or --cors-origins, as the pages that may
// call the API are those that sign people in. The default origins do not count: nil accepts any application.
func (c *serveCommand) parties() []string {
	if len(c.AuthParties) > 0 {
		return c.AuthParties
	}
	return c.CORSOrigins
}

// defaultDataDir returns a directory that does not depend on the working directory, so that a second start finds the
// data. For root it is not below the home directory, because the embedded PostgreSQL then runs as another user.
func defaultDataDir(user int, home string) string {
	switch {
	case user == 0:
		return "/var/lib/millrace"
	case home != "":
		return filepath.Join(home, ".local", "share", "millrace")
	}
	return "millrace-data"
}

// homeDir is the user's own directory; empty if the environment names none.
func homeDir() string {
	dir, _ := os.UserHomeDir()
	return dir
}

// announce prints the addresses of a started server. Tokens are long: they are in files of the data directory.
func (c *serveCommand) announce(std cli.Streams, dir string, s serve.Started, took time.Duration) error {
	_, _ = fmt.Fprintf(std.Out, "millrace is ready after %s\n", took.Round(time.Millisecond))
	if s.API != "" {
		_, _ = fmt.Fprintf(std.Out, "  API       %s\n  docs      %s/docs\n  page      %s/\n", s.API, s.API, s.API)
	}
	_, _ = fmt.Fprintf(std.Out, "  metrics   %s/metrics\n  database  %s\n  files     %s\n",
		s.Admin, s.Database, s.Objects)
	switch {
	case s.API == "":
		return nil
	case s.Token == "":
		_, _ = fmt.Fprintf(std.Out, "  tokens    %s\n", c.acceptedTokens())
		return nil
	}
	token, page, err := keepToken(dir, s)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(std.Out, "  sign in   %s\n\n"+
		"DEVELOPMENT MODE: anyone who has the token has access. Set AUTH_JWKS_URL in\nproduction.\n"+
		"  export MILLRACE_TOKEN=$(cat %s)\n", fileURL(page), shellWord(token))
	return nil
}

// acceptedTokens describes the tokens that are accepted.
func (c *serveCommand) acceptedTokens() string {
	applications := "any application; set AUTH_PARTIES or CORS_ORIGINS to name those that are accepted"
	if parties := c.parties(); len(parties) > 0 {
		applications = strings.Join(parties, ", ")
	}
	return "of " + c.AuthIssuer + " for " + applications
}
