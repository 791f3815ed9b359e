package store

import (
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

const blockColumns = `prediction_id, first_row, n, row_offset, customer_id, customer_ids, probability, risk_bands,
	band_rows, result_bytes, row_starts`

func (l *Ledger) copyBlocks(ctx context.Context, tx pgx.Tx, tuples io.Reader) error {
	if err := l.db.copyTuples(ctx, tx, "prediction_blocks", blockColumns, tuples); err != nil {
		return fmt.Errorf("copy blocks: %w", err)
	}
	return nil
}
