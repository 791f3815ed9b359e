// Package counts keeps what predictions looked like, as counts, and how they compare with their outcomes, as sums by
// month: what says whether a model is still right. The numbers are opaque here: those who count lay them out and add
// them. They name no customer and hold no value of one.
package counts

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/internal/database"
)

// Table is the view for requests, operators and gauges. It is safe for concurrent use.
type Table struct{ db *database.DB }

// New returns the table of a database.
func New(db *database.DB) *Table { return &Table{db} }

// RowsMin is how many scored rows a prediction must have for its counts to stay when its results expire: the counts of
// fewer would say something about each of them.
const RowsMin = 100

const (
	// predictionsMax is the most predictions that a [Query] yields, the newest ones: a row of 2 kB for each.
	predictionsMax = 5000
	// monthsMax is the most months of outcomes that a [Query] yields, one for each version, dataset and user.
	monthsMax = 5000
)

// Query selects predictions by when they were uploaded. The zero value of a field selects all, but for From and To.
type Query struct {
	User    int64 // 0: all users, which only a login that may work can see
	Model   string
	Dataset *string
	SHA256  string // instead of Model, for all users and datasets
	From    time.Time
	To      time.Time // exclusive
	Limit   int       // 0: predictionsMax or monthsMax
}

// Model is a version of a model.
type Model struct{ Name, Version, SHA256 string }

// Entry is numbers of a month.
type Entry struct {
	Model   Model
	Month   time.Time // its first day in UTC
	Numbers []int64   // of outcomes nil: they are being made anew
}

const entryOfPrediction = `SELECT model_name, model_version, model_sha256,
	date_trunc('month', uploaded_at AT TIME ZONE 'UTC'), counts FROM prediction_counts `

// Predictions calls each with the counts of predictions, newest first. more reports whether there are further ones.
func (t *Table) Predictions(ctx context.Context, q Query, each func(Entry) error) (more bool, err error) {
	where, args := q.where()
	sql := entryOfPrediction + where + ` AND uploaded_at >= $1 AND uploaded_at < $2 ORDER BY uploaded_at DESC LIMIT $3`
	more, err = t.entries(ctx, q, predictionsMax, sql, args, each)
	if err != nil {
		return false, fmt.Errorf("read counts of predictions: %w", err)
	}
	return more, nil
}

const entryOfMonth = `SELECT model_name, model_version, model_sha256, month::timestamp, figures FROM outcome_months `

// Outcomes calls each with the sums of the months that Query.From and Query.To are in or between, newest first. more
// reports whether there are further ones.
func (t *Table) Outcomes(ctx context.Context, q Query, each func(Entry) error) (more bool, err error) {
	where, args := q.where()
	sql := entryOfMonth + where + ` AND month >= date_trunc('month', $1::timestamptz AT TIME ZONE 'UTC')
		AND month < ($2::timestamptz AT TIME ZONE 'UTC') ORDER BY month DESC LIMIT $3`
	more, err = t.entries(ctx, q, monthsMax, sql, args, each)
	if err != nil {
		return false, fmt.Errorf("read months of outcomes: %w", err)
	}
	return more, nil
}

// where returns a condition that an index serves, and the arguments from the fourth on.
func (q *Query) where() (sql string, args []any) {
	switch {
	case q.SHA256 != "":
		return `WHERE model_sha256 = $4`, []any{q.SHA256}
	case q.User == 0 && q.Dataset == nil:
		return `WHERE model_name = $4`, []any{q.Model}
	case q.User == 0:
		return `WHERE model_name = $4 AND dataset = $5`, []any{q.Model, *q.Dataset}
	case q.Dataset == nil:
		return `WHERE user_id = $4 AND model_name = $5`, []any{q.User, q.Model}
	}
	return `WHERE user_id = $4 AND model_name = $5 AND dataset = $6`, []any{q.User, q.Model, *q.Dataset}
}

func (t *Table) entries(
	ctx context.Context, q Query, limit int, sql string, args []any, each func(Entry) error,
) (more bool, err error) {
	if q.Limit > 0 {
		limit = q.Limit
	}
	args = append([]any{q.From, q.To, limit + 1}, args...)
	read := func(rows pgx.Rows) error {
		n := 0
		var e Entry
		_, err := pgx.ForEachRow(rows, []any{&e.Model.Name, &e.Model.Version, &e.Model.SHA256, &e.Month, &e.Numbers}, func() error {
			if n++; n > limit {
				more = true
				return nil
			}
			return each(e)
		})
		return err
	}
	if q.User != 0 {
		return more, t.db.ReadAs(ctx, q.User, sql, args, read)
	}
	rows, err := t.db.Pool.Query(ctx, sql, args...)
	if err != nil {
		return false, err
	}
	return more, read(rows)
}

// Profiles returns what [Record] was given with the counts of models, by sha256.
func (t *Table) Profiles(ctx context.Context, digests []string) (map[string]json.RawMessage, error) {
	profiles := map[string]json.RawMessage{}
	rows, err := t.db.Requests.Query(ctx, `
		SELECT model_sha256, profile FROM model_profiles WHERE model_sha256 = ANY ($1::text[])`, digests)
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	var digest string
	var profile json.RawMessage
	_, err = pgx.ForEachRow(rows, []any{&digest, &profile}, func() error {
		profiles[digest] = append(json.RawMessage(nil), profile...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	return profiles, nil
}

// Counted is what a completed prediction's rows looked like.
type Counted struct {
	Profile json.RawMessage // how Numbers are laid out; the same for all predictions of a model
	Numbers []int64
}

// Record keeps the counts of a prediction in the transaction that completes it. Nil keeps none.
func Record(ctx context.Context, tx pgx.Tx, prediction int64, c *Counted) error {
	if c == nil {
		return nil
	}
	var batch pgx.Batch
	batch.Queue(`
		INSERT INTO model_profiles (model_sha256, profile)
		SELECT model_sha256, $2::jsonb FROM predictions
		WHERE id = $1 AND NOT EXISTS (SELECT FROM model_profiles p WHERE p.model_sha256 = predictions.model_sha256)
		ON CONFLICT DO NOTHING`, prediction, c.Profile)
	batch.Queue(`
		INSERT INTO prediction_counts (prediction_id, user_id, model_name, model_version, model_sha256, dataset,
		                               uploaded_at, counts)
		SELECT id, user_id, model_name, model_version, model_sha256, dataset, created_at, $2::bigint[]
		FROM predictions WHERE id = $1
		ON CONFLICT (prediction_id) DO UPDATE SET counts = excluded.counts`, prediction, c.Numbers)
	return tx.SendBatch(ctx, &batch).Close()
}
