// Package store keeps uploads, predictions, the ledger of their parts and their scored rows in PostgreSQL, and decides
// which objects may be deleted ([Owner]).
//
// PostgreSQL is the truth. A [Store] is one pool of connections with a type for each kind of caller: [Ledger] for
// workers, [Predictions], [UploadLinks] and [Accounts] for requests, [Upkeep] for sweeps and operators, [Outbox] and
// [Announcements] for what is sent. A worker's loop is
//
//	c := ledger.ClaimFinish(ctx, worker)              // first last steps that were interrupted or cancelled …
//	if c == nil { c = ledger.ClaimPart(ctx, worker) } // … then parts, each user in turn
//	if c == nil { wait for the channel of ledger.Listen }
//	c.Finish:        join the parts' results, Finish
//	!c.Part.Planned: find the part borders, PlanPart
//	else:            score the part, put its result object, CommitPart; if that returns last: join the parts, Finish
//
// with RenewLease in time and FailPart, ReleasePart or PostponePart when something goes wrong. Every write of a worker
// names the epoch of its claim, so a worker that lost its lease changes nothing and gets [ErrLeaseLost].
//
// Below it: kept models (models), counts of predictions (counts), the object store (objects), the queue (queue), how both are called (awsclient), circuit breakers (circuit),
// the connections (internal/database), migrations (schema), PostgreSQL's binary rows (tuple).
package store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/store/circuit"
	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/internal/database"
	"github.com/retainwise/millrace/store/models"
)

// Config configures [Open]. Zero fields mean their defaults.
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
	Deadly           Failure       // of a prediction whose part ended its worker process twice while it ran alone
	WaitingMax       int           // unfinished predictions of a user; 0: any number
	PollInterval     time.Duration // longest silence of the channel of Listen; default 5 s
	Log              *slog.Logger  // default: nothing is logged
	// Trace is called with every statement before it is sent, from many goroutines; args hold customers' data. Nil
	// disables it.
	Trace    func(sql string, args []any)
	Circuits *circuit.Group // show the database's breaker; nil: it is not shown
}

// Store is the database by what it keeps: each field is a view of the same connections. It is safe for concurrent use.
type Store struct {
	Ledger        *Ledger        // the work on predictions' parts, for workers
	Predictions   *Predictions   // files, predictions and their rows, for requests
	UploadLinks   *UploadLinks   // files that are put into the object store directly
	Accounts      *Accounts      // users, their keys and budgets
	Upkeep        *Upkeep        // sweeps, checks, and what operators ask
	Outbox        *Outbox        // doorbells that are still to be sent to the queue
	Announcements *Announcements // ended predictions for webhooks
	Models        *models.Table  // models that predictions name, and where they are kept
	Counts        *counts.Table  // what predictions looked like, and what became of their customers

	db     *database.DB
	config Config
}

func (c Config) withDefaults() Config {
	c.ConnsMax = cmp.Or(c.ConnsMax, 30)
	c.ConnWait = cmp.Or(c.ConnWait, 30*time.Second)
	c.StatementTimeout = cmp.Or(c.StatementTimeout, 30*time.Second)
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	c.AttemptsMax = cmp.Or(c.AttemptsMax, 3)
	c.PollInterval = cmp.Or(c.PollInterval, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Open connects to a database that has been migrated by schema.Migrate. Its error names no password. The caller closes
// the store.
func Open(ctx context.Context, config Config) (*Store, error) {
	c := config.withDefaults()
	db, err := database.Open(ctx, database.Config{
		URL: c.URL, LoaderURL: c.LoaderURL, ConnsMax: c.ConnsMax, ConnsKept: c.ConnsKept, ConnWait: c.ConnWait,
		StatementTimeout: c.StatementTimeout, Log: c.Log, Trace: c.Trace,
		Breaker: c.Circuits.NewBreaker(circuit.Database),
	})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	predictions := &Predictions{db: db, waitingMax: c.WaitingMax, watchers: newWatchers(db, c.Log)}
	return &Store{
		Ledger:        &Ledger{db: db, config: c},
		Predictions:   predictions,
		UploadLinks:   &UploadLinks{db: db, predictions: predictions},
		Accounts:      &Accounts{db: db, lease: c.Lease},
		Upkeep:        &Upkeep{db: db, predictions: predictions},
		Outbox:        &Outbox{db: db, log: c.Log, pollInterval: c.PollInterval},
		Announcements: &Announcements{db: db},
		Models:        models.New(db),
		Counts:        counts.New(db),
		db:            db,
		config:        c,
	}, nil
}

// Close waits for the connections in use and closes them.
func (s *Store) Close() {
	s.Predictions.watchers.close()
	s.db.Close()
}

// Ping returns an error if the database does not answer.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Ready checks that the database runs a function and commits a write, as every upload needs both.
func (s *Store) Ready(ctx context.Context) error { return s.db.Ready(ctx) }

// PoolState is the state of the connections.
type PoolState = database.PoolState

// PoolState counts the connections.
func (s *Store) PoolState() PoolState { return s.db.PoolState() }

// MayWork reports whether workers and operators can use this store; requests always can.
func (s *Store) MayWork() bool { return s.db.MayWork() }

// RowSecurity reports whether the database itself keeps users apart, beside the queries that name them.
func (s *Store) RowSecurity() bool { return s.db.RowSecurity() }
