package store

import (
	"context"
	"fmt"
)

// Ahead is the work in front of a waiting prediction.
type Ahead struct {
	Predictions int
	Rows        int64 // that are not scored yet, of files that have been counted
	Uncounted   int   // predictions whose rows nobody has counted
	// RowsPerSecond is how fast the lane of the prediction went lately while there was work in it; 0: not known.
	RowsPerSecond float64
}

// Ahead counts what will be scored before a prediction, if nothing else comes. The speed is that of the last five minutes:
// the rows of what ended or made progress in them, over the time in which any of it was being worked on.
func (s *Store) Ahead(ctx context.Context, p Prediction) (Ahead, error) {
	var a Ahead
	err := s.pool.QueryRow(ctx, `
		WITH own AS (SELECT id, small, turn_end FROM predictions WHERE id = $1),
		waiting AS (
		    SELECT count(*) AS predictions, count(*) FILTER (WHERE u.row_count IS NULL) AS uncounted,
		           coalesce(sum(u.row_count - coalesce(p.done, 0)), 0)::bigint AS rows
		    FROM own
		    JOIN predictions d ON d.small = own.small AND (d.turn_end, d.id) < (own.turn_end, own.id)
		    JOIN uploads u ON u.id = d.upload_id
		    LEFT JOIN LATERAL (
		        SELECT sum(n_scored + n_rejected) AS done FROM prediction_parts
		        WHERE prediction_id = d.id AND generation = d.generation
		    ) p ON d.status = 'running'
		    WHERE d.status IN ('queued', 'running')
		),
		recent AS (
		    (SELECT d.started_at AS began, d.finished_at AS ended, d.rows_scored + d.rows_rejected AS n
		     FROM predictions d, own
		     WHERE d.small = own.small AND d.results_deleted_at IS NULL AND d.status = 'completed'
		       AND d.finished_at > clock_timestamp() - interval '5 minutes' AND d.started_at < d.finished_at
		     ORDER BY d.finished_at DESC LIMIT 100)
		    UNION ALL
		    SELECT d.started_at, max(p.done_at), sum(p.n_scored + p.n_rejected)
		    FROM own
		    JOIN predictions d ON d.small = own.small AND d.status = 'running'
		    JOIN prediction_parts p ON p.prediction_id = d.id AND p.generation = d.generation
		    WHERE p.status = 'done' AND p.done_at > d.started_at
		    GROUP BY d.id
		),
		busy AS (SELECT unnest(range_agg(tstzrange(began, ended))) AS span FROM recent)
		SELECT predictions, uncounted, rows,
		       coalesce((SELECT sum(n) FROM recent)
		           / (SELECT sum(extract(epoch FROM upper(span) - lower(span))) FROM busy), 0)::float8
		FROM waiting`, p.InternalID).Scan(&a.Predictions, &a.Uncounted, &a.Rows, &a.RowsPerSecond)
	if err != nil {
		return Ahead{}, fmt.Errorf("count what is ahead: %w", err)
	}
	return a, nil
}
