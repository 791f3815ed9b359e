package database

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A failover need not close a socket: the old primary stays up, read-only, or its host is gone, while new connections
// reach the new one. The first statement that is refused for that reason, and the first ping without an answer, close
// their connection and begin a new era; connections of an older era are closed when they are next acquired. So are those
// to a standby that is promoted later.

// ReadOnlyState is read_only_sql_transaction: of a standby, or of a primary that was.
const ReadOnlyState = "25006"

// onError reports whether a connection may be used after an error of the server.
func (db *DB) onError(conn *pgconn.PgConn, err *pgconn.PgError) bool {
	if mixesSessions(err.Code) {
		db.pooler.Do(func() { db.config.Log.Error(poolerAdvice, "error", err.Error()) })
	}
	if err.Code != ReadOnlyState {
		return !strings.EqualFold(err.Severity, "FATAL") // as pgx does
	}
	db.renew(connectionOf(conn).era)
	return false
}

// era is the time between two renewals.
type era struct {
	number int64
	over   context.Context // ends with it
	end    context.CancelFunc
}

func newEra(number int64) *era {
	e := &era{number: number}
	e.over, e.end = context.WithCancel(context.Background())
	return e
}

func (db *DB) currentEra() *era {
	if e := db.era.Load(); e != nil {
		return e
	}
	db.era.CompareAndSwap(nil, newEra(0))
	return db.era.Load()
}

// Era returns a context that ends when the connections of now are to be replaced. Connections outside the pool watch it.
func (db *DB) Era() context.Context { return db.currentEra().over }

// renew begins a new era after the one of a connection, unless another has done so already.
func (db *DB) renew(number int64) {
	now := db.currentEra()
	if now.number == number && db.era.CompareAndSwap(now, newEra(number+1)) {
		now.end()
	}
}

// Ready returns an error unless the database runs a function and commits a write, as every upload needs both: a standby
// answers a ping, and so does a server whose files were replaced while it runs, or whose commits wait for a standby that is
// gone. The write is a message in the write-ahead log, which changes no table.
func (db *DB) Ready(ctx context.Context) error {
	_, err := db.Requests.Exec(ctx, `DO $$ BEGIN
		IF current_setting('transaction_read_only')::boolean THEN
			RAISE read_only_sql_transaction USING MESSAGE = 'the server is read-only';
		END IF;
		PERFORM pg_logical_emit_message(true, 'millrace', 'ready');
	END $$`)
	if err != nil {
		return fmt.Errorf("ask database: %w", HideURL(err))
	}
	return nil
}
