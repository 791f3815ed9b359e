package database

import (
	"cmp"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	connAgeMax  = time.Hour   // of a connection, but for the statement that it is in
	connIdleMax = time.Minute // of a connection beyond those that are kept
)

func (db *DB) poolConfig(url string) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, HideURL(err)
	}
	pc.MaxConns, pc.MinConns = db.config.ConnsMax, max(0, min(db.config.ConnsKept, db.config.ConnsMax))
	limitConnAge(pc)
	db.guard(pc, tracer{trace: db.config.Trace, wait: db.config.ConnWait})
	params := pc.ConnConfig.RuntimeParams
	params["application_name"] = "millrace"
	params["timezone"] = "UTC"
	params["statement_timeout"] = milliseconds(db.config.StatementTimeout)
	params["idle_in_transaction_session_timeout"] = milliseconds(2 * db.config.StatementTimeout)
	return pc, nil
}

// limitConnAge closes connections before they are connAgeMax old, not all at once: a tenth of it is jitter, and a tenth
// is left for the pool, which checks idle ones every minute. Shorter times in the URL are kept.
func limitConnAge(pc *pgxpool.Config) {
	pc.MaxConnLifetime = min(pc.MaxConnLifetime, connAgeMax*8/10)
	pc.MaxConnLifetimeJitter = cmp.Or(pc.MaxConnLifetimeJitter, pc.MaxConnLifetime/8)
	pc.MaxConnIdleTime = min(pc.MaxConnIdleTime, connIdleMax)
}

// splitConns divides the connections that each of two pools was configured with between them.
func splitConns(a, b *pgxpool.Config) {
	half := max(1, b.MaxConns/2)
	a.MaxConns, b.MaxConns = max(1, a.MaxConns-half), half
	kept := b.MinConns / 2
	a.MinConns, b.MinConns = min(a.MaxConns, a.MinConns-kept), min(b.MaxConns, kept)
}

// PoolState is the pool of connections at this moment and what it has done since the start.
type PoolState struct {
	Acquired, Idle, Max int32
	Acquires            int64         // connections handed out
	Waits               int64         // of these, how often none was idle
	Waited              time.Duration // time that callers waited in all
}

// PoolState returns how many connections are in use and idle. It sends no query.
func (db *DB) PoolState() PoolState {
	all := poolState(db.Pool)
	if db.Requests != db.Pool {
		r := poolState(db.Requests)
		all.Acquired, all.Idle, all.Max = all.Acquired+r.Acquired, all.Idle+r.Idle, all.Max+r.Max
		all.Acquires, all.Waits, all.Waited = all.Acquires+r.Acquires, all.Waits+r.Waits, all.Waited+r.Waited
	}
	return all
}

func poolState(pool *pgxpool.Pool) PoolState {
	p := pool.Stat()
	return PoolState{
		Acquired: p.AcquiredConns(), Idle: p.IdleConns(), Max: p.MaxConns(),
		Acquires: p.AcquireCount(), Waits: p.EmptyAcquireCount(), Waited: p.EmptyAcquireWaitTime(),
	}
}
