package database

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// A failover need not close a socket: the old primary stays up, read-only, while new connections reach the new one. The
// first statement that is refused for that reason closes its connection and begins a new era; connections of an older era
// are closed when they are next acquired. So are those to a standby that is promoted later.

// ReadOnlyState is read_only_sql_transaction: of a standby, or of a primary that was.
const ReadOnlyState = "25006"

// onError reports whether a connection may be used after an error of the server.
func (db *DB) onError(conn *pgconn.PgConn, err *pgconn.PgError) bool {
	if err.Code != ReadOnlyState {
		return !strings.EqualFold(err.Severity, "FATAL") // as pgx does
	}
	era := connectionOf(conn).era
	db.Era.CompareAndSwap(era, era+1)
	return false
}

// Ready returns an error unless the database can be written to and runs functions, as every write needs both: a standby
// answers a ping, and so does a server whose files were replaced while it runs.
func (db *DB) Ready(ctx context.Context) error {
	_, err := db.Requests.Exec(ctx, `DO $$ BEGIN
		IF current_setting('transaction_read_only')::boolean THEN
			RAISE read_only_sql_transaction USING MESSAGE = 'the server is read-only';
		END IF;
	END $$`)
	if err != nil {
		return fmt.Errorf("ask database: %w", HideURL(err))
	}
	return nil
}
