package store

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/retainwise/millrace/store/objects"
)

// ClaimPartSQL is the statement that finds the next part.
const ClaimPartSQL = claimPart

// AccountTables lists the tables that deleting an account clears.
func AccountTables() []string { return accountTables[:] }

// PoolConfigs are the settings of the pools of requests and of work; they may be one.
func PoolConfigs(s *Store) (requests, work *pgxpool.Config) {
	return s.db.Requests.Config(), s.db.Pool.Config()
}

// Backend is the server's process behind the connection that a caller gets now.
func Backend(ctx context.Context, s *Store) (pid uint32, err error) {
	err = s.db.Pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		pid = c.Conn().PgConn().PID()
		return nil
	})
	return pid, err
}

// Unguarded is the object store of an owner, which deletes and is written to without asking.
func Unguarded(w *Owner) objects.Store { return w.objects }

// RelayOnce sends one batch of the outbox and returns how many messages the queue took.
func RelayOnce(ctx context.Context, o *Outbox, q Sender) (int, error) { return o.relayOnce(ctx, q) }
