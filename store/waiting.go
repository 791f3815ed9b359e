package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// WaitingError says that a user has as many unfinished predictions as one may have. Nothing was recorded.
type WaitingError struct{ Max int }

// Error implements error.
func (e *WaitingError) Error() string {
	return fmt.Sprintf("%d predictions of the user wait already", e.Max)
}

// leaveRoom refuses a prediction of a user who has [Config.WaitingMax] unfinished ones. It reads that many entries of an
// index at most. Transactions of the same moment do not see each other, so a user may pass the bound by as many
// requests as are let in at once: an exact one would put all uploads of a user in a row.
func (ps *Predictions) leaveRoom(ctx context.Context, tx pgx.Tx, user int64) error {
	most := ps.waitingMax
	if most <= 0 {
		return nil
	}
	var waiting int
	err := tx.QueryRow(ctx, `
		SELECT count(*) FROM (SELECT FROM predictions
		    WHERE user_id = $1 AND status IN ('queued', 'running') LIMIT $2) w`, user, most).Scan(&waiting)
	if err == nil && waiting >= most {
		err = &WaitingError{Max: most}
	}
	return err
}
