package serve

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/retainwise/millrace/store"
)

// deletePrediction removes a prediction with its upload, its results and whatever was learned from it. It is gone when
// the answer comes; its files follow within a minute.
func deletePrediction(s *server, r *request) error {
	id, err := r.predictionID()
	if err != nil {
		return err
	}
	if err := s.Store.DeletePrediction(r.ctx, r.user.ID, id); err != nil {
		return explainAs(CodeDatabase, err)
	}
	statusOnly(r, http.StatusNoContent)
	return nil
}

// deleteAccount ends the account of whoever asks. Their tokens are refused from now on; what they had is removed by the
// sweep.
func deleteAccount(s *server, r *request) error {
	if err := s.Store.DeleteAccount(r.ctx, r.user.ID); err != nil {
		return explainAs(CodeDatabase, err)
	}
	s.users.forget(r.user.Subject)
	statusOnly(r, http.StatusNoContent)
	return nil
}

// sweepDeletions goes on with deletions that were asked for.
func sweepDeletions(ctx context.Context, s *store.Store, o store.Objects, log *slog.Logger) {
	if err := s.SweepDeletions(ctx, o); err != nil && ctx.Err() == nil {
		log.Warn("sweep deletions", "error", err)
	}
}
