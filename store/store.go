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
	"io"
	"log/slog"
	"net"
	"strconv"
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
	URL              string        // connection string; required
	ConnsMax         int32         // connections of the pool; default 16
	StatementTimeout time.Duration // the server ends a longer statement; default 30 s
	Lease            time.Duration // how long a claim lasts without renewal; default 30 s
	AttemptsMax      int           // attempts at a part before its prediction is dead; default 3
	PollInterval     time.Duration // longest silence of the channel of Listen; default 5 s
	Log              *slog.Logger  // default: nothing is logged
	// Trace is told every statement before it is sent, from many goroutines; args hold customers' data. Nil: nobody is.
	Trace func(sql string, args []any)
}

// Store is a pool of connections. It is safe for concurrent use.
type Store struct {
	pool        *pgxpool.Pool
	config      Config
	rowSecurity bool
}

func (c Config) withDefaults() Config {
	setDefault(&c.ConnsMax, 16)
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
	config = config.withDefaults()
	pc, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", hideURL(err))
	}
	pc.MaxConns = config.ConnsMax
	pc.ConnConfig.DialFunc = newBreaker("database").dialer
	if config.Trace != nil {
		pc.ConnConfig.Tracer = tracer{config.Trace}
	}
	params := pc.ConnConfig.RuntimeParams
	params["application_name"] = "millrace"
	params["timezone"] = "UTC"
	params["statement_timeout"] = milliseconds(config.StatementTimeout)
	params["idle_in_transaction_session_timeout"] = milliseconds(2 * config.StatementTimeout)
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", hideURL(err))
	}
	s := &Store{pool: pool, config: config}
	err = s.Ping(ctx)
	if err == nil {
		err = s.findRowSecurity(ctx)
	}
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

type connection struct{ net.Conn }

func (c connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, io.EOF) {
		err = &net.OpError{Op: "read", Net: "postgresql", Err: io.ErrUnexpectedEOF}
	}
	return n, err
}

// Close waits for the connections in use and closes the pool.
func (s *Store) Close() { s.pool.Close() }

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
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
