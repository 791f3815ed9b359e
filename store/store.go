// Package store keeps everything that outlives a request: uploads, predictions, the ledger of their parts and their
// scored rows in PostgreSQL, files in an object store, doorbells in SQS.
//
// PostgreSQL is the truth. A worker's loop is
//
//	c := ClaimFinish(ctx, worker)            // first the last steps of others that were interrupted or cancelled …
//	if c == nil { c = ClaimPart(ctx, worker) } // … then parts, each user in turn
//	if c == nil { wait for the channel of Listen }
//	c.Finish:        join the parts' results, Finish
//	!c.Part.Planned: find the part borders, PlanPart
//	else:            score the part, put its result object, CommitPart; if that says last: join the parts, Finish
//
// with RenewLease in time and FailPart, ReleasePart or PostponePart when something goes wrong. Every write of a worker
// names the epoch of its claim, so a worker that lost its lease changes nothing and is told so by [ErrLeaseLost].
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Errors that callers branch on.
var (
	// ErrNotFound says that there is no such thing, or that it is not the user's.
	ErrNotFound = errors.New("not found")
	// ErrLeaseLost says that a worker's claim is void: the lease ran out and another worker has the part, or the
	// prediction was cancelled or retried. Nothing was changed.
	ErrLeaseLost = errors.New("lease lost")
	// ErrConflict says that the state of the thing does not allow what was asked.
	ErrConflict = errors.New("not possible in this state")
	// ErrAccounting says that scored and rejected rows do not add up to the rows of the part. Nothing was changed.
	ErrAccounting = errors.New("rows do not add up")
)

// Config says how to reach PostgreSQL. Zero fields mean their defaults.
type Config struct {
	URL string // connection string; required
	// LoaderURL is another user of the same database, for workers; URL is then for requests alone. Empty: URL is for
	// both, or for requests alone if its user cannot work; see [Store.MayWork].
	LoaderURL        string
	ConnsMax         int32         // connections; default 30, shared by two pools if there is a LoaderURL
	ConnsKept        int32         // of these, how many stay open while idle, shared likewise; default none
	ConnWait         time.Duration // for a free connection, if the context does not end before; default 30 s
	StatementTimeout time.Duration // the server ends a longer statement; default 30 s
	Lease            time.Duration // how long a claim lasts without renewal; default 30 s
	AttemptsMax      int           // attempts at a part before its prediction is dead; default 3
	WaitingMax       int           // unfinished predictions of a user; 0: any number
	PollInterval     time.Duration // longest silence of the channel of Listen; default 5 s
	Log              *slog.Logger  // default: nothing is logged
	// Trace is called with every statement before it is sent, from many goroutines; args hold customers' data. Nil disables it.
	Trace    func(sql string, args []any)
	Circuits *Circuits // show the database's breaker; nil: it is not shown
}

// Store is a pool of connections. It is safe for concurrent use.
type Store struct {
	pool        *pgxpool.Pool // acts as the loader, or as the tables' owner where there is no such role
	requests    *pgxpool.Pool // for what is done in a request: the same pool, or one that acts as the API
	config      Config
	breaker     *breaker // of both
	rowSecurity bool
	mayWork     bool
	staged      bool         // COPY goes by way of a temporary table
	era         atomic.Int64 // of connections: see renewal.go
}

func (c Config) withDefaults() Config {
	setDefault(&c.ConnsMax, 30)
	setDefault(&c.ConnWait, 30*time.Second)
	setDefault(&c.StatementTimeout, 30*time.Second)
	setDefault(&c.Lease, 30*time.Second)
	setDefault(&c.AttemptsMax, 3)
	setDefault(&c.PollInterval, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Open connects to a database whose schema [Migrate] made.
func Open(ctx context.Context, config Config) (*Store, error) {
	s := &Store{config: config.withDefaults(), breaker: config.Circuits.newBreaker(DependencyDatabase)}
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	pc, err := s.poolConfig(s.config.URL)
	if err != nil {
		return err
	}
	may, err := findAccess(ctx, pc.ConnConfig)
	if err != nil {
		return err
	}
	if s.config.LoaderURL != "" {
		return s.openApart(ctx, pc, may)
	}
	s.rowSecurity, s.mayWork = may.api, may.loader || may.owner
	switch {
	case may.loader:
		assume(pc, loaderRole)
		s.staged = may.staged
	case may.api && !may.owner:
		assume(pc, apiRole)
	case !may.owner:
		return fmt.Errorf("%w: neither the tables' owner, nor a member of %s or %s", ErrRole, apiRole, loaderRole)
	}
	s.sayAccess(may)
	if s.pool, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return hideURL(err)
	}
	s.requests = s.pool
	return s.Ping(ctx)
}

// openApart opens a pool for requests, which no mistake in a request can get out of, and one for work.
func (s *Store) openApart(ctx context.Context, api *pgxpool.Config, may access) error {
	loader, err := s.poolConfig(s.config.LoaderURL)
	if err != nil {
		return err
	}
	mayLoad, err := findAccess(ctx, loader.ConnConfig)
	if err != nil {
		return err
	}
	if !may.api || !mayLoad.loader {
		return fmt.Errorf("%w: the users for requests and for work must be members of %s and of %s",
			ErrRole, apiRole, loaderRole)
	}
	s.rowSecurity, s.mayWork, s.staged = true, true, mayLoad.staged
	halve(api, loader)
	assume(api, apiRole)
	assume(loader, loaderRole)
	if s.pool, err = pgxpool.NewWithConfig(ctx, loader); err == nil {
		s.requests, err = pgxpool.NewWithConfig(ctx, api)
	}
	if err != nil {
		return hideURL(err)
	}
	s.sayAccess(access{api: true, loader: true})
	return s.Ping(ctx)
}

// sayAccess tells whom requests and workers act as.
func (s *Store) sayAccess(may access) {
	log := s.config.Log
	switch {
	case !may.api && !may.loader:
		log.Warn("no row level security: this database user cannot become millrace_api; queries keep users apart")
	case !s.mayWork:
		log.Info("database: requests act as millrace_api, and nothing else is possible")
	case !may.api:
		log.Info("database: workers act as millrace_loader, and nothing else is possible")
	case !may.loader:
		log.Warn("database: requests act as millrace_api, but workers as the owner of the tables")
	default:
		log.Info("database: requests act as millrace_api, workers as millrace_loader",
			"logins_apart", s.config.LoaderURL != "", "copy_by_temporary_table", s.staged)
	}
}

// Close waits for the connections in use and closes the pools.
func (s *Store) Close() {
	for _, pool := range []*pgxpool.Pool{s.requests, s.pool} {
		if pool != nil {
			pool.Close()
		}
	}
}

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.requests.Ping(ctx); err != nil {
		return fmt.Errorf("ping database: %w", hideURL(err))
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// hideURL keeps connection strings, which pgx puts into some errors, out of error texts.
func hideURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the database URL cannot be parsed")
	}
	return err
}

// notFound translates pgx's word for an empty answer.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
