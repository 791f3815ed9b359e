package serve

import (
	"context"
	"errors"
	"log/slog"

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
	return s.deleted(r)
}

// deleteAccount ends the account of whoever asks. Their tokens are refused from now on; what they had is removed by the
// sweep.
func deleteAccount(s *server, r *request) error {
	if err := s.Store.DeleteAccount(r.ctx, r.user.ID); err != nil {
		return explainAs(CodeDatabase, err)
	}
	s.users.forget(r.user.Subject)
	return s.deleted(r)
}

// sweepDeletions goes on with deletions that were asked for.
func sweepDeletions(ctx context.Context, s *store.Store, o store.Objects, log *slog.Logger) {
	err := s.SweepDeletions(ctx, o)
	if errors.Is(err, store.ErrNotOwner) {
		return // it is reported as a state; what was asked for stays queued
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("sweep deletions", "error", err)
	}
}
