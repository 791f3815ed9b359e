package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
)

// TrainingRow is a scored row that is kept for retraining.
type TrainingRow struct {
	Row             int64
	CustomerHash    []byte // a keyed hash of the customer's id, never the id
	Features        json.RawMessage
	Probability     float32
	ExperimentGroup string // empty is none
}

// AddTraining keeps a sample of a finished prediction's rows, as large as its owner has agreed to: none without
// consent. The same prediction again adds nothing. kept is how many rows were added.
func (s *Store) AddTraining(ctx context.Context, c *Claim, rows []TrainingRow) (kept int, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		var rate float32
		var before bool
		err := tx.QueryRow(ctx, `
			SELECT u.training_rate, EXISTS (SELECT FROM ml_training_data t WHERE t.prediction_id = d.id)
			FROM predictions d JOIN users u ON u.id = d.user_id WHERE d.id = $1 FOR SHARE OF d`,
			c.PredictionID).Scan(&rate, &before)
		if err != nil || before || rate <= 0 {
			return notFound(err)
		}
		sample := sampled(rows, rate)
		kept = len(sample)
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"ml_training_data"}, []string{
			"user_id", "prediction_id", "row_no", "customer_hash", "features", "probability", "experiment_group",
		}, pgx.CopyFromSlice(len(sample), func(i int) ([]any, error) {
			r := sample[i]
			var group *string
			if r.ExperimentGroup != "" {
				group = &r.ExperimentGroup
			}
			return []any{
				c.UserID, c.PredictionID, int32(r.Row), r.CustomerHash, r.Features, r.Probability, group,
			}, nil
		}))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("add training rows: %w", err)
	}
	return kept, nil
}

func sampled(rows []TrainingRow, rate float32) []TrainingRow {
	var sample []TrainingRow
	for _, r := range rows {
		if rand.Float32() < rate {
			sample = append(sample, r)
		}
	}
	return sample
}

// Outcome is what became of a customer.
type Outcome struct {
	CustomerHash []byte
	Churned      bool
}

// RecordOutcomes writes what became of a user's customers to all rows kept of them, and says how many rows that were.
// A later outcome replaces an earlier one; of two in one call the last counts.
func (s *Store) RecordOutcomes(ctx context.Context, userID int64, outcomes []Outcome) (rows int64, err error) {
	last := make(map[string]bool, len(outcomes))
	for _, o := range outcomes {
		last[string(o.CustomerHash)] = o.Churned
	}
	hashes, churned := make([][]byte, 0, len(last)), make([]bool, 0, len(last))
	for hash, c := range last {
		hashes, churned = append(hashes, []byte(hash)), append(churned, c)
	}
	err = s.readAs(ctx, userID, `
		UPDATE ml_training_data t SET actual_churn = o.churned, outcome_at = clock_timestamp()
		FROM unnest($2::bytea[], $3::boolean[]) AS o (hash, churned)
		WHERE t.user_id = $1 AND t.customer_hash = o.hash`, []any{userID, hashes, churned}, func(answer pgx.Rows) error {
		answer.Close()
		rows = answer.CommandTag().RowsAffected()
		return answer.Err()
	})
	if err != nil {
		return 0, fmt.Errorf("record outcomes: %w", err)
	}
	return rows, nil
}
