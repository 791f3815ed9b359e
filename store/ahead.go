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
// the rows of what ended or made progress in them, over the time in which any of it was being worked on. It looks at
// other users' predictions, so it is a function of the database: see the migrations.
func (ps *Predictions) Ahead(ctx context.Context, p Prediction) (Ahead, error) {
	var a Ahead
	err := ps.db.requests.QueryRow(ctx, `
		SELECT predictions, uncounted, row_count, rows_per_second FROM prediction_ahead($1)`, p.InternalID).
		Scan(&a.Predictions, &a.Uncounted, &a.Rows, &a.RowsPerSecond)
	if err != nil {
		return Ahead{}, fmt.Errorf("count what is ahead: %w", err)
	}
	return a, nil
}
