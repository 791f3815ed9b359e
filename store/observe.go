package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// QueueState is the unfinished work of all users, without predictions that are marked as internal in their options.
type QueueState struct {
	Queued, Running int64
	Dead            int64         // given up: what [Upkeep.DeadLetters] lists
	Suspects        int64         // parts and last steps that run alone, see [Ledger.ReserveSuspect]
	Oldest          time.Duration // age of the oldest queued prediction; 0: none
	Outbox          int64         // its entries: messages that have not been sent yet
}

// QueueState counts unfinished predictions. Every count reads an index that holds little else.
func (u *Upkeep) QueueState(ctx context.Context) (QueueState, error) {
	var q QueueState
	var oldest float64
	err := u.db.Pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE status = 'queued'), count(*) FILTER (WHERE status = 'running'),
		       coalesce(extract(epoch FROM clock_timestamp() - min(queued_at) FILTER (WHERE status = 'queued')), 0)::float8,
		       (SELECT count(*) FROM predictions WHERE status = 'dead'),
		       (SELECT count(*) FROM outbox),
		       (SELECT count(*) FROM prediction_parts p JOIN predictions d ON d.id = p.prediction_id
		        WHERE p.deaths > 0`+stillWanted+`) +
		       (SELECT count(*) FROM predictions WHERE finish_due AND finish_deaths > 0)
		FROM predictions WHERE status IN ('queued', 'running') AND NOT options ? 'internal'`).
		Scan(&q.Queued, &q.Running, &oldest, &q.Dead, &q.Outbox, &q.Suspects)
	if err != nil {
		return QueueState{}, fmt.Errorf("count the queue: %w", err)
	}
	q.Oldest = time.Duration(oldest * float64(time.Second))
	return q, nil
}

// Times are the durations of a prediction's stages by the clock of the database; zero for a stage not reached.
type Times struct {
	Status                     Status
	Rows                       int64
	Queued, FirstResult, InAll time.Duration // from when it was queued: to the first claim, the first result, the end
}

// Times returns the durations of a claim's prediction so far.
func (l *Ledger) Times(ctx context.Context, c *Claim) (Times, error) {
	t, err := scanTimes(l.db.Pool.QueryRow(ctx, selectTimes+`
		FROM predictions d JOIN uploads u ON u.id = d.upload_id WHERE d.id = $1`, c.PredictionID))
	if err != nil {
		return Times{}, fmt.Errorf("read times: %w", notFound(err))
	}
	return t, nil
}

// selectTimes reads a prediction d and its upload u.
const selectTimes = `
	SELECT d.status, coalesce(u.row_count, 0), coalesce(extract(epoch FROM started_at - queued_at), 0)::float8,
	       coalesce(extract(epoch FROM first_result_at - queued_at), 0)::float8,
	       coalesce(extract(epoch FROM finished_at - queued_at), 0)::float8`

func scanTimes(row pgx.Row) (t Times, err error) {
	var queued, first, all float64
	if err := row.Scan(&t.Status, &t.Rows, &queued, &first, &all); err != nil {
		return Times{}, err
	}
	for seconds, d := range map[*float64]*time.Duration{&queued: &t.Queued, &first: &t.FirstResult, &all: &t.InAll} {
		*d = max(0, time.Duration(*seconds*float64(time.Second)))
	}
	return t, nil
}
