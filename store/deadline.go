package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// outageMin is the silence after which the service counts as having been down. Several heartbeats fit into it.
const outageMin = 5 * time.Minute

// Heartbeat notes that a worker reaches everything it needs. Workers call it every minute; when none has
// done so for [outageMin], there was an outage, which ends now. Several processes may do it at the same time.
func (l *Ledger) Heartbeat(ctx context.Context) error {
	_, err := l.db.Pool.Exec(ctx, `
		INSERT INTO service_uptime AS u (up_since, seen_at) VALUES (clock_timestamp(), clock_timestamp())
		ON CONFLICT (only_row) DO UPDATE
		SET seen_at = excluded.seen_at,
		    up_since = CASE WHEN u.seen_at < excluded.seen_at - $1::bigint * interval '1 microsecond'
		        THEN excluded.seen_at ELSE u.up_since END`, outageMin.Microseconds())
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// overdueAtOnce bounds a transaction of EndOverdue.
const overdueAtOnce = 100

// EndOverdue fails predictions whose first part was claimed longer ago than the deadline, and returns their times.
// Nothing is overdue until the service has worked for that long without an outage, see [Ledger.Heartbeat]. Time in the
// queue is not counted. Their workers lose their leases; an operator may retry them as any other. It may be called by
// several processes at the same time.
func (l *Ledger) EndOverdue(ctx context.Context, deadline time.Duration, f Failure) (ended []Times, err error) {
	for {
		rows, err := l.db.Pool.Query(ctx, endOverdue, deadline.Microseconds(), overdueAtOnce, f)
		if err != nil {
			return ended, fmt.Errorf("end overdue predictions: %w", err)
		}
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Times, error) { return scanTimes(row) })
		if err != nil {
			return ended, fmt.Errorf("end overdue predictions: %w", err)
		}
		if ended = append(ended, list...); len(list) < overdueAtOnce {
			return ended, nil
		}
	}
}

const endOverdue = `
	WITH late AS (
	    SELECT d.id FROM predictions d
	    WHERE d.status = 'running' AND d.started_at < clock_timestamp() - $1::bigint * interval '1 microsecond'
	      AND EXISTS (SELECT FROM service_uptime
	                  WHERE up_since < clock_timestamp() - $1::bigint * interval '1 microsecond')
	    ORDER BY d.id LIMIT $2 FOR NO KEY UPDATE OF d SKIP LOCKED
	), over AS (
	    UPDATE predictions d
	    SET status = 'failed', status_reason = NULL, error = $3, finish_due = false, finish_worker = NULL,
	        finished_at = clock_timestamp()
	    FROM late WHERE d.id = late.id RETURNING d.*
	), failed AS (
	    UPDATE uploads u SET status = 'failed', updated_at = clock_timestamp() FROM over d WHERE u.id = d.upload_id
	)` + selectTimes + ` FROM over d JOIN uploads u ON u.id = d.upload_id`
