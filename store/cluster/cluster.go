//go:build unix

// Package cluster runs a private PostgreSQL server: one per directory, reachable through a Unix socket only, by the
// user that started it only. It is what millrace uses when no DATABASE_URL is set.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config is the place and the settings of a cluster. Only Dir is required.
type Config struct {
	// Dir is the cluster's own directory. When root starts the cluster, it is given to the user that the server runs
	// as, so nothing else should be kept there.
	Dir string
	Log func(message string) // is called about steps that take time; nil disables it
	// BinDir holds postgres and initdb; empty: they are looked for, and fetched if there are none.
	BinDir string
	// Settings are given to the server beside those of this package ("fsync": "off" in tests).
	Settings map[string]string
}

const (
	userName     = "millrace"
	databaseName = "millrace"
	startTimeout = 60 * time.Second
	fastTimeout  = 10 * time.Second // for a fast shutdown, before an immediate one
)

// Cluster is a running server. Its methods are safe for concurrent use.
type Cluster struct {
	config  Config
	place   place
	owner   owner
	unlock  func()
	command *exec.Cmd
	log     *os.File
	exited  chan struct{} // closed when the server process has ended
}

// Start makes the cluster if the directory is new, and starts its server. The server runs in a process group of its
// own and outlives signals from a terminal, until [Cluster.Stop].
func Start(ctx context.Context, config Config) (*Cluster, error) {
	if config.Log == nil {
		config.Log = func(string) {}
	}
	c, err := prepare(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("start postgresql: %w", err)
	}
	if err := c.run(ctx); err != nil {
		return nil, fmt.Errorf("start postgresql: %w", errors.Join(err, c.Stop(context.WithoutCancel(ctx))))
	}
	return c, nil
}

// prepare finds the server and makes everything that it needs, short of starting it.
func prepare(ctx context.Context, config Config) (*Cluster, error) {
	who, err := findOwner()
	if err != nil {
		return nil, err
	}
	where, err := makePlace(config, who)
	if err != nil {
		return nil, err
	}
	unlock, err := where.lock()
	if err != nil {
		return nil, err
	}
	c := &Cluster{config: config, place: where, owner: who, unlock: unlock}
	err = c.prepareData(ctx)
	if err == nil {
		err = c.place.stopLeftover(ctx)
	}
	if err == nil {
		err = c.place.removeSocket()
	}
	if err != nil {
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

// run starts the server, again and again while children of a killed one are still there: the server refuses then.
func (c *Cluster) run(ctx context.Context) error {
	for deadline := time.Now().Add(orphansTimeout); ; time.Sleep(100 * time.Millisecond) {
		err := c.launch(ctx)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) ||
			!strings.Contains(err.Error(), "pre-existing shared memory block") {
			return err
		}
	}
}

// launch starts the server once and waits until it answers.
func (c *Cluster) launch(ctx context.Context) error {
	if c.log != nil {
		_ = c.log.Close()
	}
	log, err := os.OpenFile(c.place.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	c.log = log
	c.command = c.owner.command(context.WithoutCancel(ctx), c.place, "postgres", c.arguments()...)
	c.command.Stdout, c.command.Stderr = log, log
	if err := c.command.Start(); err != nil {
		return err
	}
	c.exited = make(chan struct{})
	go func() {
		defer close(c.exited)
		_ = c.command.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.ready(ctx); err != nil {
		return fmt.Errorf("%w; the end of %s:\n%s", err, c.place.logFile(), tail(c.place.logFile()))
	}
	return nil
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
	}
	maps.Copy(settings, c.config.Settings)
	args := []string{"-D", c.place.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// ready waits until the server accepts connections and has the database.
func (c *Cluster) ready(ctx context.Context) error {
	for {
		conn, err := pgx.Connect(ctx, c.urlOf("postgres"))
		if err == nil {
			return errors.Join(createDatabase(ctx, conn), conn.Close(ctx))
		}
		select {
		case <-c.exited:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func createDatabase(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, databaseName).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+databaseName)
	return err
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

// Exited is closed when the server has ended, wanted or not.
func (c *Cluster) Exited() <-chan struct{} { return c.exited }

// Stop ends the server: connections are cut, what is committed stays. A server that does not end in time is killed,
// which costs a recovery at the next start. Stop returns when the server has ended; the second call does nothing.
func (c *Cluster) Stop(ctx context.Context) error {
	defer c.release()
	if c.exited == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, fastTimeout)
	defer cancel()
	if c.signal(ctx, syscall.SIGINT) {
		return nil
	}
	grace, cancelGrace := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancelGrace()
	if c.signal(grace, syscall.SIGQUIT) {
		return errors.New("stop postgresql: it took too long and was stopped at once")
	}
	_ = syscall.Kill(-c.command.Process.Pid, syscall.SIGKILL)
	<-c.exited
	return errors.New("stop postgresql: it had to be killed")
}

// signal sends the server a signal and reports whether it has ended in time.
func (c *Cluster) signal(ctx context.Context, sig syscall.Signal) bool {
	_ = c.command.Process.Signal(sig)
	select {
	case <-c.exited:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Cluster) release() {
	if c.log != nil {
		_ = c.log.Close()
	}
	if filepath.Dir(c.place.socket) != c.place.dir {
		_ = os.RemoveAll(c.place.socket)
	}
	c.unlock()
}
