package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// indexGain is a statement with the promised indexes and without all of them.
type indexGain struct {
	Index       string  `json:"index"`
	SQL         string  `json:"sql"`
	Plan        string  `json:"plan"`
	WithoutPlan string  `json:"without_plan"`
	P50         float64 `json:"p50_ms"` // of what the server took
	WithoutP50  float64 `json:"without_p50_ms"`
}

// indexStatements are what each promised index is for. The user is one of the many, not the busiest.
func indexStatements() []indexGain {
	return []indexGain{
		{Index: "idx_predictions_user_id", SQL: `SELECT count(*) FROM predictions WHERE user_id = 5000`},
		{Index: "idx_predictions_status", SQL: `SELECT count(*) FROM predictions WHERE status = 'dead'`},
		{Index: "idx_predictions_created_at", SQL: `SELECT id FROM predictions ORDER BY created_at DESC LIMIT 100`},
		{Index: "idx_predictions_upload_id", SQL: `SELECT id, status FROM predictions WHERE upload_id = 50`},
		{
			Index: "idx_predictions_user_status",
			SQL:   `SELECT count(*) FROM predictions WHERE user_id = 5000 AND status = 'completed'`,
		},
		{Index: "idx_uploads_user_id", SQL: `SELECT count(*) FROM uploads WHERE user_id = 5000`},
		{Index: "idx_uploads_status", SQL: `SELECT count(*) FROM uploads WHERE status = 'processing'`},
		{Index: "idx_uploads_created_at", SQL: `SELECT id FROM uploads ORDER BY created_at DESC LIMIT 100`},
		{
			Index: "idx_uploads_user_status",
			SQL:   `SELECT count(*) FROM uploads WHERE user_id = 5000 AND status = 'completed'`,
		},
		{Index: "idx_ml_training_user_id", SQL: `SELECT count(*) FROM ml_training_data WHERE user_id = 5000`},
		{
			Index: "idx_ml_training_experiment_group",
			SQL:   `SELECT count(*) FROM ml_training_data WHERE experiment_group = 'b'`,
		},
		{Index: "idx_ml_training_actual_churn", SQL: `SELECT count(*) FROM ml_training_data WHERE actual_churn`},
		{Index: "idx_ml_training_created_at", SQL: `SELECT id FROM ml_training_data ORDER BY created_at DESC LIMIT 100`},
	}
}

// outcomes gives some of the rows that are kept for retraining a group, and of some it is known who left.
const outcomes = `
	UPDATE ml_training_data SET experiment_group = CASE WHEN id % 100 = 0 THEN 'b' END,
	       actual_churn = CASE WHEN id % 500 = 0 THEN id % 1000 = 0 END WHERE id % 100 = 0;
	VACUUM ANALYZE ml_training_data`

// runIndexes times what the promised indexes are for, with them and in a transaction that has dropped them all.
func runIndexes(ctx context.Context, o Options, r *Report) (err error) {
	d, err := openMigrated(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	f := o.filling()
	f.large, f.largeRows = 1, min(f.largeRows, 12_000) // blocks have no part in it
	if !o.Quick {
		f.predictions, f.training = 1_000_000, 1_000_000
	}
	r.Note = "With " + f.String() + "."
	if err := d.fill(ctx, f); err != nil {
		return err
	}
	for statement := range strings.SplitSeq(outcomes, ";") {
		if err := d.exec(ctx, statement); err != nil {
			return err
		}
	}
	r.Indexes = indexStatements()
	return r.compareIndexes(ctx, d.conn, o.pick(11, 1))
}

func (r *Report) compareIndexes(ctx context.Context, conn *pgx.Conn, runs int) (err error) {
	for i := range r.Indexes {
		g := &r.Indexes[i]
		if g.P50, g.Plan, err = medianOf(ctx, conn, g.SQL, runs); err != nil {
			return err
		}
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // the indexes are there again
	for i := range r.Indexes {
		if _, err := tx.Exec(ctx, `DROP INDEX `+r.Indexes[i].Index); err != nil {
			return err
		}
	}
	for i := range r.Indexes {
		g := &r.Indexes[i]
		if g.WithoutP50, g.WithoutPlan, err = medianOf(ctx, conn, g.SQL, runs); err != nil {
			return err
		}
	}
	return nil
}

// medianOf runs a statement several times and gives the median of what the server took, in milliseconds.
func medianOf(ctx context.Context, conn *pgx.Conn, sql string, runs int) (p50 float64, plan string, err error) {
	times := make([]float64, runs)
	var answer explained
	for i := range times {
		var text []byte
		if err := conn.QueryRow(ctx, "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "+sql).Scan(&text); err != nil {
			return 0, "", err
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			return 0, "", err
		}
		times[i] = answer[0].ExecutionTime
	}
	slices.Sort(times)
	return quantile(times, 0.5), strings.Join(answer[0].Plan.scans(nil), ", "), nil
}

// writeIndexRows writes the comparison as Markdown.
func (r *Report) writeIndexRows(out *pageWriter) {
	if len(r.Indexes) == 0 {
		return
	}
	headings := []string{"index", "statement", "with it, ms", "without, ms", "times", "without it the server reads by"}
	out.printf("\n")
	out.row(headings)
	out.row(slices.Repeat([]string{"---"}, len(headings)))
	for _, g := range r.Indexes {
		out.row([]string{
			"`" + g.Index + "`", "`" + g.SQL + "`", figure(g.P50), figure(g.WithoutP50),
			figure(g.WithoutP50 / cmp.Or(g.P50, 0.001)), g.WithoutPlan,
		})
	}
}
