//go:build unix

// Package cluster runs a private PostgreSQL server: one per directory, reachable through a Unix socket only, by the
// user that started it only. It is what millrace uses when no DATABASE_URL is set.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config is the place and the settings of a cluster. Only Dir is required.
type Config struct {
	// Dir is the cluster's own directory. When root starts the cluster, it is given to the user that the server runs
	// as, so nothing else should be kept there.
	Dir  string
	Log  func(message string) // is called about steps that take time; nil disables it
	Warn func(message string) // is called about what [Cluster.Supervise] finds and does; nil disables it
	// BinDir holds postgres and initdb; empty: they are looked for, and fetched if there are none.
	BinDir string
	// Settings are given to the server beside those of this package ("fsync": "off" in tests).
	Settings map[string]string
	// Settle is how long programs that were replaced must stay as they are before the server is restarted with them, so
	// that the upgrade is over; default 10 s.
	Settle time.Duration
}

const (
	userName        = "millrace"
	databaseName    = "millrace"
	startTimeout    = 60 * time.Second // of a server that says nothing
	recoveryTimeout = 10 * time.Minute // of one that says that it is recovering from a crash
	fastTimeout     = 10 * time.Second // for a fast shutdown, before an immediate one
)

// ErrNotRunning means that the server cannot be started, or ends again and again.
var ErrNotRunning = errors.New("the private PostgreSQL does not run")

// Cluster is a running server. Its methods are safe for concurrent use.
type Cluster struct {
	config Config
	place  place
	owner  owner
	unlock func()
	life   context.Context // ends with Stop
	end    context.CancelFunc
	// revivals are how often in a row the server is started again before it is given up.
	revivals int

	mu     sync.Mutex // held while a server is started or stopped
	server *server    // nil before the first start
}

// Start makes the cluster if the directory is new, and starts its server. The server runs in a process group of its
// own and outlives signals from a terminal, until [Cluster.Stop].
func Start(ctx context.Context, config Config) (*Cluster, error) {
	who, err := findOwner()
	if err != nil {
		return nil, fmt.Errorf("start postgresql: %w", err)
	}
	return startAs(ctx, config, who)
}

func startAs(ctx context.Context, config Config, who owner) (*Cluster, error) {
	c, err := prepare(ctx, config, who)
	if err != nil {
		return nil, fmt.Errorf("start postgresql: %w", err)
	}
	c.mu.Lock()
	err = c.run(ctx)
	c.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, errors.Join(err, c.Stop(context.WithoutCancel(ctx))))
	}
	return c, nil
}

// prepare finds the server and makes everything that it needs, short of starting it.
func prepare(ctx context.Context, config Config, who owner) (*Cluster, error) {
	if config.Log == nil {
		config.Log = func(string) {}
	}
	if config.Warn == nil {
		config.Warn = func(string) {}
	}
	config.Settle = cmp.Or(config.Settle, settleDefault)
	where, err := makePlace(config, who)
	if err != nil {
		return nil, err
	}
	unlock, err := where.lock()
	if err != nil {
		return nil, err
	}
	c := &Cluster{config: config, place: where, owner: who, unlock: sync.OnceFunc(unlock), revivals: revivalsMax}
	c.life, c.end = context.WithCancel(context.WithoutCancel(ctx))
	err = c.prepareData(ctx)
	if err == nil {
		err = c.clear(ctx)
	}
	if err != nil {
		c.end()
		unlock()
		return nil, err
	}
	return c, nil
}

// prepareData chooses the binaries and makes the data directory.
func (c *Cluster) prepareData(ctx context.Context) error {
	major, err := c.place.dataMajor()
	if err != nil {
		return err
	}
	bin, err := chooseBinaries(ctx, c.config, c.place, major,
		sources{path: os.Getenv("PATH"), folders: binaryFolders, fetch: fetchEmbedded})
	if err != nil {
		return err
	}
	c.place.bin = bin
	if major != 0 {
		return nil
	}
	c.config.Log(fmt.Sprintf("making a PostgreSQL %d cluster in %s", bin.major, c.place.dir))
	return c.initdb(ctx)
}

// orphansTimeout is how long the children of a killed server may take to notice that and go.
const orphansTimeout = 15 * time.Second

// run starts the server and waits until it answers, again and again while children of a killed one are still there: the
// server refuses then.
func (c *Cluster) run(ctx context.Context) error {
	for deadline := time.Now().Add(orphansTimeout); ; time.Sleep(100 * time.Millisecond) {
		s, err := c.startServer(ctx)
		if err != nil {
			return err
		}
		c.server = s
		answer, cancel := context.WithTimeout(ctx, recoveryTimeout)
		err = c.ready(answer, s)
		cancel()
		if err == nil {
			s.since = time.Now()
			return nil
		}
		err = fmt.Errorf("%w; the end of %s:\n%s", err, c.place.logFile(), tail(c.place.logFile()))
		if ctx.Err() != nil || time.Now().After(deadline) || !strings.Contains(err.Error(), "pre-existing shared memory block") {
			return err
		}
	}
}

func (c *Cluster) arguments() []string {
	settings := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": c.place.socket,
		"unix_socket_permissions": "0700",
		"logging_collector":       "off",
		"shared_buffers":          "128MB",
		"max_wal_size":            "2GB",
		"max_connections":         "100",
		// The statements of millrace are short: compiling them costs more than it gains.
		"jit": "off",
		// Sessions do not load it from the disk, where an upgrade may have put one that does not fit the running server.
		"shared_preload_libraries": "plpgsql",
	}
	maps.Copy(settings, c.config.Settings)
	args := []string{"-D", c.place.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// URL is the connection string of the cluster's database. It holds the password: keep it out of logs.
func (c *Cluster) URL() string { return c.urlOf(databaseName) }

func (c *Cluster) urlOf(database string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database}
	u.User = url.UserPassword(userName, c.place.password)
	u.RawQuery = url.Values{"host": {c.place.socket}, "sslmode": {"disable"}}.Encode()
	return u.String()
}

// Dir is where the cluster lies. It differs from the configured directory if the server's user cannot go there.
func (c *Cluster) Dir() string { return c.place.dir }

// Exited returns a channel that is closed when the server that runs now has ended, wanted or not.
func (c *Cluster) Exited() <-chan struct{} { return c.current().exited }

func (c *Cluster) current() *server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server
}

// Stop ends the server: connections are cut, what is committed stays. A server that does not end in time is killed,
// which costs a recovery at the next start. Stop returns when the server has ended; the second call does nothing.
func (c *Cluster) Stop(ctx context.Context) error {
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.release()
	if c.server == nil {
		return nil
	}
	return c.server.stop(ctx)
}

func (c *Cluster) release() {
	if filepath.Dir(c.place.socket) != c.place.dir {
		_ = os.RemoveAll(c.place.socket)
	}
	c.unlock()
}
