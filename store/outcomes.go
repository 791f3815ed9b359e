package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/counts"
	"github.com/retainwise/millrace/store/customer"
)

// Outcome is whether a customer churned.
type Outcome struct {
	Customer customer.Hash
	Churned  bool
	On       time.Time // a day; zero if it is not known
}

// replaces reports whether an outcome that is recorded later replaces an earlier one of the same customer: one of a
// later day does, and one of the same day, as a correction. No day counts as earlier than any day.
func (o Outcome) replaces(earlier Outcome) bool {
	return earlier.On.IsZero() || !o.On.Before(earlier.On)
}

// ObservedRow is a row that was kept for retraining and whose outcome is known.
type ObservedRow struct {
	Probability float32
	Band        int16 // -1 if it was not kept
	Churned     bool
	Group       string // experiment group; empty is none
}

// Recorded is what [Predictions.RecordOutcomes] did.
type Recorded struct {
	Matched []customer.Hash // the customers of whom rows are kept
	Rows    int64           // kept of them
	Changed int64           // of these rows, how many have another outcome now
}

// reportRowsMax is the most customers that a report is made of. Of more, an arbitrary but fixed choice is taken.
const reportRowsMax = 1_000_000

const outcomesAtOnce = 10_000

// Reports says what is stored of predictions whose outcomes are known.
type Reports struct {
	OfModel func(Model, []ObservedRow) (json.RawMessage, error)
	OfMonth func([]counts.Scored) []int64 // nil: nothing is stored by month
}

// RecordOutcomes writes the outcomes of a user's customers to all training rows kept of them, and then stores the
// reports on each of the user's models and months, all in one transaction. An outcome of a later or the same day replaces
// a recorded one, so that the same outcomes again change nothing. Of each customer a report gets one row: the newest
// that was scored before the outcome, or the newest if none was.
func (ps *Predictions) RecordOutcomes(
	ctx context.Context, userID int64, outcomes []Outcome, reports Reports,
) (Recorded, error) {
	var done Recorded
	err := ps.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		if err := requireAccount(ctx, tx, userID); err != nil {
			return err
		}
		// One transaction at a time per user: reports would miss the other's rows, and rows be locked in two orders.
		if err := counts.Lock(ctx, tx, userID); err != nil {
			return err
		}
		for batch := range slices.Chunk(latestOutcomes(outcomes), outcomesAtOnce) {
			if err := recordOutcomes(ctx, tx, userID, batch, &done); err != nil {
				return err
			}
		}
		if err := reportOutcomes(ctx, tx, userID, reports.OfModel); err != nil || reports.OfMonth == nil {
			return err
		}
		return counts.MakeMonths(ctx, tx, userID, reports.OfMonth)
	})
	if err != nil {
		return Recorded{}, fmt.Errorf("record outcomes: %w", err)
	}
	return done, nil
}

// latestOutcomes keeps of each customer's outcomes the one that replaces the others.
func latestOutcomes(outcomes []Outcome) []Outcome {
	at := make(map[customer.Hash]int, len(outcomes))
	last := make([]Outcome, 0, len(outcomes))
	for _, o := range outcomes {
		i, known := at[o.Customer]
		switch {
		case !known:
			at[o.Customer] = len(last)
			last = append(last, o)
		case o.replaces(last[i]):
			last[i] = o
		}
	}
	return last
}

func recordOutcomes(ctx context.Context, tx pgx.Tx, userID int64, outcomes []Outcome, done *Recorded) error {
	hashes, churned := make([][]byte, len(outcomes)), make([]bool, len(outcomes))
	days := make([]*time.Time, len(outcomes))
	for i := range outcomes {
		o := &outcomes[i]
		hashes[i], churned[i] = o.Customer[:], o.Churned
		if !o.On.IsZero() {
			days[i] = &o.On
		}
	}
	rows, err := tx.Query(ctx, `
		WITH found AS (
		    SELECT t.id, o.hash, o.churned, o.day,
		           (t.outcome_on IS NULL OR o.day >= t.outcome_on)
		           AND (t.actual_churn, t.outcome_on) IS DISTINCT FROM (o.churned, o.day) AS changed
		    FROM unnest($2::bytea[], $3::boolean[], $4::date[]) AS o (hash, churned, day)
		    JOIN ml_training_data t ON t.user_id = $1 AND t.customer_hash = o.hash
		), written AS (
		    UPDATE ml_training_data t
		    SET actual_churn = f.churned, outcome_on = f.day, outcome_at = clock_timestamp()
		    FROM found f WHERE f.changed AND t.id = f.id
		)
		SELECT hash, count(*), count(*) FILTER (WHERE changed) FROM found GROUP BY hash`,
		userID, hashes, churned, days)
	if err != nil {
		return err
	}
	var hash []byte
	var kept, changed int64
	_, err = pgx.ForEachRow(rows, []any{&hash, &kept, &changed}, func() error {
		done.Matched = append(done.Matched, customer.Hash(hash))
		done.Rows, done.Changed = done.Rows+kept, done.Changed+changed
		return nil
	})
	return err
}

// reportOutcomes makes the reports on all models of a user anew.
func reportOutcomes(
	ctx context.Context, tx pgx.Tx, userID int64, report func(Model, []ObservedRow) (json.RawMessage, error),
) error {
	models, observed, err := observedRows(ctx, tx, userID)
	if err != nil {
		return err
	}
	for _, m := range models {
		text, err := report(m, observed[m])
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO outcome_reports (user_id, model_name, model_sha256, model_version, report)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (user_id, model_name, model_sha256) DO UPDATE
			SET model_version = excluded.model_version, report = excluded.report, updated_at = clock_timestamp()`,
			userID, m.Name, m.SHA256, m.Version, text)
		if err != nil {
			return err
		}
	}
	return nil
}

// observedRows reads one row for each model and customer, in the order of the customers' hashes.
func observedRows(ctx context.Context, tx pgx.Tx, userID int64) ([]Model, map[Model][]ObservedRow, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (t.customer_hash, d.model_name, d.model_sha256)
		       d.model_name, d.model_version, d.model_sha256, t.probability, coalesce(t.risk_band, -1),
		       t.actual_churn, coalesce(t.experiment_group, '')
		FROM ml_training_data t JOIN predictions d ON d.id = t.prediction_id
		WHERE t.user_id = $1 AND t.actual_churn IS NOT NULL
		ORDER BY t.customer_hash, d.model_name, d.model_sha256,
		         coalesce((t.created_at AT TIME ZONE 'UTC')::date > t.outcome_on, false), t.created_at DESC, t.id DESC
		LIMIT $2`, userID, reportRowsMax)
	if err != nil {
		return nil, nil, err
	}
	var models []Model
	observed := map[Model][]ObservedRow{}
	var m Model
	var r ObservedRow
	scan := []any{&m.Name, &m.Version, &m.SHA256, &r.Probability, &r.Band, &r.Churned, &r.Group}
	_, err = pgx.ForEachRow(rows, scan, func() error {
		if _, known := observed[m]; !known {
			models = append(models, m)
		}
		observed[m] = append(observed[m], r)
		return nil
	})
	return models, observed, err
}

// OutcomeReport compares one model's predictions for a user with their outcomes.
type OutcomeReport struct {
	Model     Model
	Report    json.RawMessage
	UpdatedAt time.Time
}

// OutcomeReports lists a user's reports on a model, newest first, at most 20: one for each of its versions.
func (ps *Predictions) OutcomeReports(ctx context.Context, userID int64, model string) ([]OutcomeReport, error) {
	var list []OutcomeReport
	err := ps.db.ReadAs(ctx, userID, `
		SELECT model_name, model_version, model_sha256, report, updated_at FROM outcome_reports
		WHERE user_id = $1 AND model_name = $2 ORDER BY updated_at DESC LIMIT 20`, []any{userID, model},
		func(rows pgx.Rows) (err error) {
			list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r OutcomeReport, err error) {
				return r, row.Scan(&r.Model.Name, &r.Model.Version, &r.Model.SHA256, &r.Report, &r.UpdatedAt)
			})
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list outcome reports: %w", err)
	}
	return list, nil
}
