// Package database manages the connections to PostgreSQL: two pools or one, the roles that they act as, row level
// security, time-outs, failover, and their circuit breaker. The tables belong to package store.
package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/retainwise/millrace/store/circuit"
)

// Config configures [Open]. All fields but LoaderURL, Log, Trace and Breaker must be set.
type Config struct {
	URL              string        // connection string
	LoaderURL        string        // of a second user, for workers; empty: URL is for both
	ConnsMax         int32         // connections of both pools
	ConnsKept        int32         // of these, how many stay open while idle
	ConnWait         time.Duration // for a free connection, if the context does not end before
	StatementTimeout time.Duration // the server ends a longer statement
	Log              *slog.Logger  // nil: nothing is logged
	// Trace is called with every statement before it is sent, from many goroutines. Nil disables it.
	Trace   func(sql string, args []any)
	Breaker *circuit.Breaker // of both pools
}

// DB is the database as requests and workers use it: two pools of connections, or one, that act as different roles. It is
// safe for concurrent use.
type DB struct {
	Pool        *pgxpool.Pool // acts as the loader, or as the tables' owner where there is no such role
	Requests    *pgxpool.Pool // for what is done in a request: the same pool, or one that acts as the API
	config      Config
	breaker     *circuit.Breaker // of both
	hosts       Hosts            // of both
	rowSecurity bool
	mayWork     bool
	staged      bool                // COPY goes by way of a temporary table
	pooler      sync.Once           // says once that there is one
	era         atomic.Pointer[era] // of connections; nil is the first
}

// Open connects and finds out which roles the users of the URLs may take on.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	db := &DB{config: c, breaker: c.Breaker}
	if err := db.open(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) error {
	pc, err := db.poolConfig(db.config.URL)
	if err != nil {
		return err
	}
	may, err := db.findAccess(ctx, pc.ConnConfig)
	if err != nil {
		return err
	}
	if db.config.LoaderURL != "" {
		return db.openTwoPools(ctx, pc, may)
	}
	db.rowSecurity, db.mayWork = may.api, may.loader || may.owner
	switch {
	case may.loader:
		setRole(pc, loaderRole)
		db.staged = may.staged
	case may.api && !may.owner:
		setRole(pc, apiRole)
	case !may.owner:
		return fmt.Errorf("%w: neither the tables' owner, nor a member of %s or %s", ErrRole, apiRole, loaderRole)
	}
	db.logAccess(may)
	if db.Pool, err = pgxpool.NewWithConfig(ctx, pc); err != nil {
		return HideURL(err)
	}
	db.Requests = db.Pool
	return db.Ping(ctx)
}

// openTwoPools opens a pool for requests, whose login has the API's rights only, and one for workers.
func (db *DB) openTwoPools(ctx context.Context, api *pgxpool.Config, may access) error {
	loader, err := db.poolConfig(db.config.LoaderURL)
	if err != nil {
		return err
	}
	mayLoad, err := db.findAccess(ctx, loader.ConnConfig)
	if err != nil {
		return err
	}
	if !may.api || !mayLoad.loader {
		return fmt.Errorf("%w: the users for requests and for work must be members of %s and of %s",
			ErrRole, apiRole, loaderRole)
	}
	db.rowSecurity, db.mayWork, db.staged = true, true, mayLoad.staged
	splitConns(api, loader)
	setRole(api, apiRole)
	setRole(loader, loaderRole)
	if db.Pool, err = pgxpool.NewWithConfig(ctx, loader); err == nil {
		db.Requests, err = pgxpool.NewWithConfig(ctx, api)
	}
	if err != nil {
		return HideURL(err)
	}
	db.logAccess(access{api: true, loader: true})
	return db.Ping(ctx)
}

// logAccess logs the roles that requests and workers act as.
func (db *DB) logAccess(may access) {
	log := db.config.Log
	switch {
	case !may.api && !may.loader:
		log.Warn("no row level security: this database user cannot become millrace_api; queries keep users apart")
	case !db.mayWork:
		log.Info("database: requests act as millrace_api, and nothing else is possible")
	case !may.api:
		log.Info("database: workers act as millrace_loader, and nothing else is possible")
	case !may.loader:
		log.Warn("database: requests act as millrace_api, but workers as the owner of the tables")
	default:
		log.Info("database: requests act as millrace_api, workers as millrace_loader",
			"logins_apart", db.config.LoaderURL != "", "copy_by_temporary_table", db.staged)
	}
}

// Close waits for the connections in use and closes the pools.
func (db *DB) Close() {
	for _, pool := range []*pgxpool.Pool{db.Requests, db.Pool} {
		if pool != nil {
			pool.Close()
		}
	}
}

// Ping returns an error if the database does not answer.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.Requests.Ping(ctx); err != nil {
		return fmt.Errorf("ping database: %w", HideURL(err))
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// HideURL keeps connection strings, which pgx puts into some errors, out of error texts, and adds what to do about a pooler
// that mixes sessions up.
func HideURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the database URL cannot be parsed")
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && mixesSessions(pg.Code) {
		return fmt.Errorf("%w: %s", err, poolerAdvice)
	}
	return err
}

const poolerAdvice = "a connection pooler in transaction mode gives statements to sessions that did not prepare them: use its " +
	"session mode, or, for a login of requests, add default_query_exec_mode=cache_describe to the URL"

// mixesSessions reports whether a SQLSTATE means that a prepared statement is another session's: it exists already, or
// does not exist. Only a pooler between this process and PostgreSQL makes it so.
func mixesSessions(state string) bool { return state == "42P05" || state == "26000" }
