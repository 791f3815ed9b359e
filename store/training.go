package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/retainwise/millrace/store/counts"
)

// Rows that are kept for retraining: features, probability, and one day the outcome, if their owner has opted in.

// TrainingRate returns the share of a user's scored rows that may be kept for retraining, 0 to 1: 0 without consent.
func (l *Ledger) TrainingRate(ctx context.Context, userID int64) (float32, error) {
	var rate float32
	err := l.db.InTxAs(ctx, userID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT training_rate FROM users WHERE id = $1`, userID).Scan(&rate)
	})
	if err != nil {
		return 0, fmt.Errorf("read training rate: %w", notFound(err))
	}
	return rate, nil
}

const trainingColumns = `user_id, prediction_id, row_no, customer_hash, features, probability, risk_band,
	experiment_group`

// copyTraining sends encoded tuples.
func (l *Ledger) copyTraining(ctx context.Context, tx pgx.Tx, tuples []byte) error {
	if err := l.db.CopyTuples(ctx, tx, "ml_training_data", trainingColumns, bytes.NewReader(tuples)); err != nil {
		return fmt.Errorf("copy training rows: %w", err)
	}
	return nil
}

// dropTraining deletes the training rows of a prediction, which is scored from scratch.
func dropTraining(ctx context.Context, tx pgx.Tx, prediction int64) error {
	var batch pgx.Batch
	counts.Forget(&batch, prediction)
	batch.Queue(`DELETE FROM ml_training_data WHERE prediction_id = $1`, prediction)
	return tx.SendBatch(ctx, &batch).Close()
}
