package counts

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Scored is a customer's row whose outcome is known.
type Scored struct {
	Probability float32
	Churned     bool
	Late        bool // it was scored after the day of the outcome, so that it predicted nothing
}

// customersMax is the most customers of a user of whom months are made. Of more, an arbitrary but fixed choice is taken.
const customersMax = 1_000_000

// staleAtOnce bounds the users whose months are made anew in one run.
const staleAtOnce = 100

// Lock serializes what writes a user's months, and what deletes the rows that they are made of, until tx ends. Months
// made meanwhile would miss the other's rows, or keep deleted ones.
func Lock(ctx context.Context, tx pgx.Tx, userID int64) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('outcomes'), $1::bigint::int)`, userID%(1<<31))
	return err
}

// MakeMonths writes what sum returns of each month of a user's predictions with outcomes, in place of what was there.
// The caller holds [Lock]. Of a customer with several rows in a month, of a model and dataset, the newest counts that
// was scored before the outcome. sum must retain no reference to the rows.
func MakeMonths(ctx context.Context, tx pgx.Tx, userID int64, sum func([]Scored) []int64) error {
	months, err := readMonths(ctx, tx, userID, sum)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM outcome_months WHERE user_id = $1`, userID); err != nil {
		return err
	}
	var batch pgx.Batch
	for _, m := range months {
		batch.Queue(`
			INSERT INTO outcome_months (user_id, model_name, model_version, model_sha256, dataset, month, figures)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (user_id, model_name, model_sha256, dataset, month) DO UPDATE SET figures = excluded.figures`,
			userID, m.Model.Name, m.Model.Version, m.Model.SHA256, m.dataset, m.Month, m.Numbers)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// datasetMonth is an entry of one dataset.
type datasetMonth struct {
	Entry
	dataset string
}

// at reports whether a row belongs to the month.
func (m *datasetMonth) at(o *datasetMonth) bool {
	return m.Model == o.Model && m.dataset == o.dataset && m.Month.Equal(o.Month)
}

// readMonths reads the rows month by month, so that it holds those of one.
func readMonths(ctx context.Context, tx pgx.Tx, userID int64, sum func([]Scored) []int64) ([]datasetMonth, error) {
	rows, err := tx.Query(ctx, `
		SELECT model_name, model_version, model_sha256, dataset, month, probability, churned, late FROM (
		    SELECT DISTINCT ON (t.customer_hash, d.model_name, d.model_sha256, d.dataset, m.month)
		           d.model_name, d.model_version, d.model_sha256, d.dataset, m.month, t.probability,
		           t.actual_churn AS churned, l.late
		    FROM ml_training_data t JOIN predictions d ON d.id = t.prediction_id,
		         date_trunc('month', d.created_at AT TIME ZONE 'UTC') AS m (month),
		         coalesce((t.created_at AT TIME ZONE 'UTC')::date > t.outcome_on, false) AS l (late)
		    WHERE t.user_id = $1 AND t.actual_churn IS NOT NULL
		    ORDER BY t.customer_hash, d.model_name, d.model_sha256, d.dataset, m.month, l.late, t.created_at DESC, t.id DESC
		    LIMIT $2) AS newest
		ORDER BY model_name, model_sha256, model_version, dataset, month`, userID, customersMax)
	if err != nil {
		return nil, err
	}
	var months []datasetMonth
	var scored []Scored
	var now datasetMonth
	var row Scored
	end := func() {
		if len(scored) > 0 {
			last := &months[len(months)-1]
			last.Numbers, scored = sum(scored), scored[:0]
		}
	}
	_, err = pgx.ForEachRow(rows, []any{
		&now.Model.Name, &now.Model.Version, &now.Model.SHA256, &now.dataset, &now.Month, &row.Probability, &row.Churned, &row.Late,
	}, func() error {
		if len(months) == 0 || !months[len(months)-1].at(&now) {
			end()
			months = append(months, now)
		}
		scored = append(scored, row)
		return nil
	})
	end()
	return months, err
}

// Forget marks the month that a prediction's rows with outcomes are in, which the caller is about to delete.
func Forget(batch *pgx.Batch, prediction int64) {
	batch.Queue(`
		UPDATE outcome_months o SET figures = NULL FROM predictions d
		WHERE d.id = $1 AND o.user_id = d.user_id AND o.model_name = d.model_name AND o.model_sha256 = d.model_sha256
		  AND o.dataset = d.dataset AND o.month = date_trunc('month', d.created_at AT TIME ZONE 'UTC')::date
		  AND EXISTS (SELECT FROM ml_training_data t WHERE t.prediction_id = $1 AND t.actual_churn IS NOT NULL)`,
		prediction)
}

// Remake makes the months anew that [Forget] has marked. Several processes may call it at the same time.
func (t *Table) Remake(ctx context.Context, sum func([]Scored) []int64) error {
	rows, err := t.db.Pool.Query(ctx, `SELECT DISTINCT user_id FROM outcome_months WHERE figures IS NULL LIMIT $1`, staleAtOnce)
	if err != nil {
		return fmt.Errorf("find stale months: %w", err)
	}
	users, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, user := range users {
		err = t.db.InTx(ctx, func(tx pgx.Tx) error {
			if err := Lock(ctx, tx, user); err != nil {
				return err
			}
			return MakeMonths(ctx, tx, user, sum)
		})
		if err != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("make stale months: %w", err)
	}
	return nil
}

// MonthOf returns the first day of a time's month in UTC.
func MonthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}
