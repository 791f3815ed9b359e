package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/testdata/samples"
)

// serveCommand runs the servers. Without any flag everything it needs is embedded.
type serveCommand struct {
	Role        string `enum:"all,api,worker" default:"all" env:"MILLRACE_ROLE" help:"What this process does: ${enum}."`
	Listen      string `default:"127.0.0.1:8080" env:"MILLRACE_LISTEN" help:"Address of the API."`
	TLSCert     string `env:"TLS_CERT" help:"Certificate chain of the API in PEM; plain HTTP if not given." placeholder:"FILE"`
	TLSKey      string `env:"TLS_KEY" help:"Key of the certificate in PEM." placeholder:"FILE"`
	AdminListen string `default:"127.0.0.1:9090" env:"MILLRACE_ADMIN_LISTEN" help:"Address of metrics and administration; keep it private."`
	DataDir     string `env:"MILLRACE_DATA_DIR" help:"Where embedded parts keep their data." placeholder:"DIR"`
	Bundles     string `env:"MILLRACE_BUNDLES" help:"Directory of model bundles beside the baselines." placeholder:"DIR"`

	DatabaseURL   string `env:"DATABASE_URL" help:"PostgreSQL; a private one is started if not given (Linux and macOS only)." placeholder:"URL"`
	LoaderURL     string `name:"loader-database-url" env:"LOADER_DATABASE_URL" help:"The same database as a member of millrace_loader, for workers; DATABASE_URL is then for requests alone." placeholder:"URL"`
	MigrateURL    string `name:"migrate-database-url" env:"MIGRATE_DATABASE_URL" help:"If given, this process migrates nothing and checks the schema only; millrace migrate uses it." placeholder:"URL"`
	DatabaseConns int32  `env:"MILLRACE_DATABASE_CONNS" default:"30" help:"Connections to PostgreSQL that this process may have, beside two that listen and one for upkeep."`
	DatabaseKept  int32  `name:"database-conns-kept" env:"MILLRACE_DATABASE_CONNS_KEPT" default:"10" help:"How many of these stay open while idle."`
	S3Bucket      string `name:"s3-bucket" aliases:"s-3-bucket" env:"S3_BUCKET" help:"Bucket for files; a directory is used if not given." placeholder:"NAME"`
	S3Prefix      string `name:"s3-prefix" env:"S3_PREFIX" help:"What all keys in the bucket begin with, so that it may be shared with others." placeholder:"PREFIX"`
	S3Endpoint    string `name:"s3-endpoint" aliases:"s-3-endpoint" env:"S3_ENDPOINT" help:"S3 endpoint, if not that of AWS." placeholder:"URL"`
	S3Region      string `name:"s3-region" aliases:"s-3-region" env:"AWS_REGION" default:"us-east-1" help:"Region of the bucket and the queue."`
	SQSQueueURL   string `env:"SQS_QUEUE_URL" help:"SQS queue that rings for work; off if not given." placeholder:"URL"`
	SQSEndpoint   string `env:"SQS_ENDPOINT" help:"SQS endpoint, if not that of AWS." placeholder:"URL"`

	AuthJWKSURL    string   `name:"auth-jwks-url" aliases:"auth-jwksurl" env:"AUTH_JWKS_URL" help:"Signing keys of the identity provider; development tokens if not given." placeholder:"URL"`
	AuthIssuer     string   `env:"AUTH_ISSUER" help:"Issuer of accepted tokens." placeholder:"NAME"`
	AuthAudience   string   `env:"AUTH_AUDIENCE" help:"Audience of accepted tokens; not checked if not given." placeholder:"NAME"`
	AuthParties    []string `env:"AUTH_PARTIES" help:"Applications whose tokens are accepted (azp); those of CORS_ORIGINS if not given, and any if neither is." placeholder:"ORIGIN"`
	RequireSession bool     `name:"auth-require-session" env:"AUTH_REQUIRE_SESSION" help:"Refuse tokens without a session (sid), as those made from a Clerk template."`
	CORSOrigins    []string `env:"CORS_ORIGINS" help:"Origins that browsers may call from, exactly; https://retainwiseanalytics.com and https://www.retainwiseanalytics.com if not given, and http://localhost:3000 with development tokens." placeholder:"ORIGIN"`
	TrustedProxies []string `env:"TRUSTED_PROXIES" help:"Networks whose X-Forwarded-For is believed; none if not given." placeholder:"CIDR"`
	PublicURL      string   `env:"PUBLIC_URL" help:"What links begin with." placeholder:"URL"`
	SupportURL     string   `env:"SUPPORT_URL" help:"What support_url begins with; this server's /errors if not given." placeholder:"URL"`

	WebhookURL          string   `env:"WEBHOOK_URL" help:"Where ends of predictions are told; nowhere if not given." placeholder:"URL"`
	WebhookSecrets      []string `env:"WEBHOOK_SECRETS" help:"Secrets that sign them, each: whsec_ and base64." placeholder:"SECRET"`
	WebhookAllowPrivate bool     `env:"WEBHOOK_ALLOW_PRIVATE" help:"Let that address be a private one, and without TLS."`

	UploadBytesMax int64 `env:"UPLOAD_BYTES_MAX" default:"52428800" help:"Bytes of an upload."`
	UploadRowsMax  int64 `env:"UPLOAD_ROWS_MAX" default:"100000" help:"Rows of an upload."`
	DirectBytesMax int64 `env:"DIRECT_BYTES_MAX" default:"5368709120" help:"Bytes of a file put straight into the bucket, through a link or under inbox/."`
	DirectRowsMax  int64 `env:"DIRECT_ROWS_MAX" default:"20000000" help:"Rows of such a file."`
	ScoreRowsMax   int64 `env:"SCORE_ROWS_MAX" default:"20000" help:"Rows of a synchronous score."`
	RateDefault    int   `env:"RATE_DEFAULT" default:"100" help:"Requests of a user in a minute; 0 is no limit. So are the others."`
	RateUpload     int   `env:"RATE_UPLOAD" default:"10" help:"Uploads of a user in a minute."`
	RateScore      int   `env:"RATE_SCORE" default:"20" help:"Synchronous scores and checks of a user in a minute."`
	RateDownload   int   `env:"RATE_DOWNLOAD" default:"50" help:"Downloads of a user in a minute."`
	Cores          int   `env:"MILLRACE_CORES" default:"0" help:"Cores that score; 0 is all of them."`

	CustomerSecret string `env:"MILLRACE_CUSTOMER_SECRET" help:"Hides customer ids kept for retraining, at least 32 bytes, the same in all processes; made in the data directory if not given." placeholder:"TEXT"`

	Lease       time.Duration `env:"MILLRACE_LEASE" default:"30s" help:"How long a part is kept for a worker that died."`
	PostponeMax time.Duration `env:"MILLRACE_POSTPONE_MAX" default:"24h" help:"How long a file is tried again that the object store refuses while it gives others."`
	PartBytes   int64         `env:"MILLRACE_PART_BYTES" default:"8388608" help:"Bytes of input that are claimed, scored and committed together."`

	WaitingMax        int       `env:"WAITING_MAX" default:"1000" help:"Unfinished predictions that a user may have; 0 is no limit."`
	PredictionTimeout retention `env:"MILLRACE_PREDICTION_TIMEOUT" default:"24h" help:"How long a prediction may run, outages not counted, before it fails; off for ever."`

	Retain     retention      `env:"MILLRACE_RETAIN" default:"off" help:"How long results and uploads are kept after the end of a prediction, as in 90d; off for ever." placeholder:"DURATION"`
	SweepAfter time.Duration  `env:"MILLRACE_SWEEP_AFTER" default:"10m" help:"How long all must have been well before objects that nothing speaks of are removed."`
	Canary     canaryInterval `env:"MILLRACE_CANARY" default:"1m" help:"How often a known file is sent through and its result compared byte by byte; off for never." placeholder:"DURATION"`

	Scorer string `enum:"compiled,leaves" default:"compiled" env:"MILLRACE_SCORER" help:"Engine that scores: ${enum}. Leaves checks a sample of what compiled scores; models that leaves cannot hold are refused with leaves."`

	Sample string `type:"existingfile" help:"Upload this CSV through the API after the start and print what came of it." placeholder:"FILE"`
}

// A part is a whole number of chunks, so small parts need smaller chunks.
const (
	partBytesMin = 16 << 10
	chunksOfPart = 8
)

// Run serves until the process is stopped.
func (c *serveCommand) Run(ctx context.Context, std streams) error {
	config, err := c.config(serve.NewLogger(std.err, slog.LevelInfo))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Scoring takes all cores; what waits for the network or a disk must not wait for a chunk's end as well.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(config.Worker.Cores + spareThreads))
	begin := time.Now()
	var sample chan error
	err = serve.Run(ctx, config, func(s serve.Started) {
		c.announce(std, s, time.Since(begin))
		if c.Sample != "" {
			sample = make(chan error, 1)
			go func() { // ends with the request; waited for below
				err := uploadSample(ctx, std.out, s, c.Sample)
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
	return err
}

// spareThreads run Go code beside those that score. The system shares the cores among all of them.
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
	if c.PartBytes < partBytesMin {
		return serve.RunConfig{}, &plainError{fmt.Sprintf("--part-bytes must be at least %d", partBytesMin)}
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
		Role: serve.Role(c.Role), Listen: c.Listen, AdminListen: c.AdminListen,
		TLS:        serve.TLSFiles{Certificate: c.TLSCert, Key: c.TLSKey},
		DataDir:    dir,
		Migrations: migrations.FS, Samples: samples.Of, BundleDir: c.Bundles,
		DatabaseURL: c.DatabaseURL, LoaderURL: c.LoaderURL, MigratedApart: c.MigrateURL != "",
		DatabaseConns: c.DatabaseConns, DatabaseKept: c.DatabaseKept,
		S3:    store.S3Config{Bucket: c.S3Bucket, Prefix: c.S3Prefix, Endpoint: c.S3Endpoint, Region: c.S3Region},
		Queue: store.QueueConfig{URL: c.SQSQueueURL, Endpoint: c.SQSEndpoint, Region: c.S3Region},
		Auth: serve.AuthConfig{
			JWKSURL: c.AuthJWKSURL, Issuer: c.AuthIssuer, Audience: c.AuthAudience, Parties: c.parties(),
			RequireSession: c.RequireSession,
		},
		API: api,
		Worker: serve.WorkerConfig{
			Name: fmt.Sprintf("%s/%d", host, os.Getpid()), Cores: cores,
			PostponeMax: c.PostponeMax,
			Limits:      c.limits(c.DirectRowsMax, c.DirectBytesMax), // a worker scores files that came either way
		},
		CustomerSecret: c.CustomerSecret,
		Webhook: serve.WebhookConfig{
			URL: c.WebhookURL, Secrets: c.WebhookSecrets, AllowPrivate: c.WebhookAllowPrivate,
		},
		Lease:  c.Lease,
		Canary: time.Duration(c.Canary),
		Retain: time.Duration(c.Retain), SweepAfter: c.SweepAfter, WaitingMax: c.WaitingMax,
		PredictionTimeout: time.Duration(c.PredictionTimeout),
		Log:               log,
	}, nil
}

// apiConfig is what the routes need to know.
func (c *serveCommand) apiConfig(cores int) (serve.Config, error) {
	proxies, err := serve.ParseNetworks(c.TrustedProxies)
	if err != nil {
		return serve.Config{}, &plainError{"--trusted-proxies: " + err.Error()}
	}
	return serve.Config{
		PublicURL: c.PublicURL, SupportURL: c.SupportURL, Origins: c.origins(),
		TrustedProxies: proxies,
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

// origins are those of the customer's front end unless others are given, and in development, where tokens are our own,
// that of a front end under development.
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

// parties are the applications whose tokens are accepted: who may call from a browser is who signs people in. Origins
// that are the default say nothing about that, so without a choice there are none, which accepts any.
func (c *serveCommand) parties() []string {
	if len(c.AuthParties) > 0 {
		return c.AuthParties
	}
	return c.CORSOrigins
}

// defaultDataDir does not depend on the working directory, so that a second start finds the data. The embedded
// PostgreSQL runs as another user when we are root, and must be able to reach it: root's home is closed to others.
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

// announce prints where everything is.
func (c *serveCommand) announce(std streams, s serve.Started, took time.Duration) {
	_, _ = fmt.Fprintf(std.out, "millrace is ready after %s\n", took.Round(time.Millisecond))
	if s.API != "" {
		page := s.API + "/"
		if s.Token != "" {
			page += "#token=" + s.Token // behind the #: no server sees it
		}
		_, _ = fmt.Fprintf(std.out, "  API       %s\n  docs      %s/docs\n  page      %s\n", s.API, s.API, page)
	}
	_, _ = fmt.Fprintf(std.out, "  metrics   %s/metrics\n  database  %s\n  files     %s\n",
		s.Admin, s.Database, s.Objects)
	if s.API != "" && s.Token == "" {
		_, _ = fmt.Fprintf(std.out, "  tokens    %s\n", c.tokensAre())
	}
	if s.Token != "" {
		_, _ = fmt.Fprintf(std.out,
			"\nDEVELOPMENT MODE: whoever has this token is let in. Set AUTH_JWKS_URL in production.\n"+
				"  export MILLRACE_TOKEN=%s\n", s.Token)
	}
}

// tokensAre says whose tokens are accepted.
func (c *serveCommand) tokensAre() string {
	applications := "any application; set AUTH_PARTIES or CORS_ORIGINS to name those that are accepted"
	if parties := c.parties(); len(parties) > 0 {
		applications = strings.Join(parties, ", ")
	}
	return "of " + c.AuthIssuer + " for " + applications
}
