package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/retainwise/millrace/chaos/check"
)

// world is everything that runs: servers, the network between, and the processes of millrace.
type world struct {
	config  config
	dir     string
	servers *servers
	network *network
	gate    *gate // before the network's way to S3; nil: nothing is refused, and nothing swept
	issuer  *issuer
	db      *pgxpool.Pool // straight, not by the network that is disturbed
	checker *check.Checker
	client  *client
	notes   *notes
	api     *process
	workers []*process
	inputs  []*input
	bundles *bundles   // that the API and half of the workers have; nil: only those in the program
	hosts   [][]string // how to start a worker on a host of its own; none: on this one

	log     io.WriteCloser
	end     context.CancelFunc
	running sync.WaitGroup
}

// newWorld starts everything but the processes.
func newWorld(ctx context.Context, c config, between func(*servers) (*network, error)) (_ *world, err error) {
	w := &world{config: c, notes: newNotes(), end: func() {}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.config.Millrace, err = filepath.Abs(c.Millrace); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "millrace-chaos-"); err != nil {
		return nil, err
	}
	if w.log, err = openLog(c.Keep); err != nil {
		return nil, err
	}
	if w.servers, err = startServers(); err != nil {
		return nil, err
	}
	if w.network, err = between(w.servers); err != nil {
		return nil, err
	}
	if c.Mishaps {
		w.bundles = &bundles{filepath.Join(w.dir, "bundles")}
		if _, err = w.bundles.put(0); err != nil {
			return nil, err
		}
		if w.gate, err = newGate(w.network.objects); err != nil {
			return nil, err
		}
		w.network.objects = w.gate.address
	}
	if w.issuer, err = startIssuer(); err != nil {
		return nil, err
	}
	if w.db, err = pgxpool.New(ctx, w.servers.DatabaseURL); err != nil {
		return nil, err
	}
	s3 := w.servers.S3
	w.checker = check.New(w.db, check.Bucket{
		Endpoint: s3.Endpoint, Name: s3.Name, AccessKey: s3.AccessKey, SecretKey: s3.SecretKey,
	})
	return w, nil
}

// startWorld starts everything, on connections that can be disturbed, and makes the files to send.
func startWorld(ctx context.Context, c config) (*world, error) {
	w, err := newWorld(ctx, c, newDistantNetwork)
	if err != nil {
		return nil, err
	}
	w.inputs, err = makeInputs(ctx, rand.New(rand.NewPCG(c.Seed, 1)), w.config.Millrace, w.dir)
	if err == nil {
		err = w.start(ctx)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// start starts an API and the workers.
func (w *world) start(ctx context.Context) error {
	ctx, w.end = context.WithCancel(ctx)
	api, err := freeAddress()
	if err != nil {
		return err
	}
	admin, err := freeAddress()
	if err != nil {
		return err
	}
	w.client = newClient("http://"+api, "http://"+admin, w.issuer, w.notes)
	w.api, err = w.newProcess("api", w.withBundles("--role", "api", "--listen", api, "--admin-listen", admin)...)
	if err != nil {
		return err
	}
	w.run(ctx, w.api)
	for i := range w.config.Workers {
		args := []string{"--role", "worker", "--admin-listen", "127.0.0.1:0"}
		if i%2 == 0 {
			args = w.withBundles(args...)
		}
		p, err := w.newProcess(fmt.Sprint("worker-", i), args...)
		if err != nil {
			return err
		}
		if i < len(w.hosts) {
			p.prefix = w.hosts[i]
		}
		w.workers = append(w.workers, p)
		w.run(ctx, p)
	}
	return nil
}

// withBundles adds the directory of bundles, if there is one.
func (w *world) withBundles(args ...string) []string {
	if w.bundles == nil {
		return args
	}
	return append(args, "--bundles", w.bundles.dir)
}

// newProcess is one on the network that is disturbed.
func (w *world) newProcess(name string, args ...string) (*process, error) {
	database, err := through(w.servers.DatabaseURL, w.network.database)
	if err != nil {
		return nil, err
	}
	if w.gate != nil {
		args = append(args, "--sweep-after", "1s")
	}
	return w.newProcessOn(way{database, w.network.objects, w.network.queue}, name, args...), nil
}

// way is how a process reaches its servers.
type way struct {
	database       string // a URL
	objects, queue string // addresses; no queue: notifications of the database alone
}

func (w *world) newProcessOn(servers way, name string, args ...string) *process {
	return &process{
		name: name, program: w.config.Millrace, notes: w.notes, log: w.log, env: w.environment(servers, name),
		args: append([]string{
			"serve", "--data-dir", filepath.Join(w.dir, name),
			"--lease", w.config.Lease.String(), "--part-bytes", fmt.Sprint(w.config.PartBytes),
		}, args...),
	}
}

// environment is what a process reads beside its flags. S3 learns its name.
func (w *world) environment(servers way, name string) []string {
	env := []string{
		"DATABASE_URL=" + servers.database,
		"S3_BUCKET=" + w.servers.S3.Name, "S3_ENDPOINT=http://" + servers.objects,
		"AWS_ACCESS_KEY_ID=" + w.servers.S3.AccessKey, "AWS_SECRET_ACCESS_KEY=" + w.servers.S3.SecretKey,
		"AWS_SDK_UA_APP_ID=" + name,
		"AUTH_JWKS_URL=" + w.issuer.url, "AUTH_ISSUER=" + issuerName,
		fmt.Sprint("GOMAXPROCS=", w.config.Cores), fmt.Sprint("MILLRACE_CORES=", w.config.Cores),
		"MILLRACE_CANARY=off",
		"UPLOAD_BYTES_MAX=1073741824", "UPLOAD_ROWS_MAX=10000000",
	}
	if servers.queue != "" {
		env = append(env, "SQS_QUEUE_URL="+w.servers.SQS.Name, "SQS_ENDPOINT=http://"+servers.queue)
	}
	return env
}

func (w *world) run(ctx context.Context, p *process) {
	w.running.Go(func() { p.supervise(ctx) })
}

// stop ends the processes.
func (w *world) stop() {
	w.end()
	w.running.Wait()
	w.workers = nil
}

// write leaves a line among those of the processes.
func (w *world) write(format string, args ...any) {
	_, _ = fmt.Fprintf(w.log, "chaos %s %s\n", time.Now().UTC().Format(time.RFC3339Nano), fmt.Sprintf(format, args...))
}

// close ends what runs and removes what it left.
func (w *world) close() {
	w.stop()
	if w.db != nil {
		w.db.Close()
	}
	if w.gate != nil {
		w.gate.close()
	}
	if w.network != nil {
		w.network.close()
	}
	if w.issuer != nil {
		_ = w.issuer.server.Close()
	}
	if w.servers != nil {
		w.servers.stop()
	}
	if w.log != nil {
		_ = w.log.Close()
	}
	_ = os.RemoveAll(w.dir)
}

// freeAddress is one that a process can have again and again: nothing else is given a port that was just used.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
