package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
)

// deletePrediction deletes a prediction with its upload, its results and the rows kept for retraining. Its rows are deleted
// before the answer, its objects within a minute.
func deletePrediction(s *server, r *request) error {
	id, err := r.predictionID()
	if err != nil {
		return err
	}
	if err := s.Store.Predictions.Delete(r.ctx, r.user.ID, id); err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	return s.deleted(r)
}

// deleteAccount deletes the account of the user. Its tokens are refused from now on; the sweep deletes its data.
func deleteAccount(s *server, r *request) error {
	if err := s.Store.Accounts.Delete(r.ctx, r.user.ID); err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	s.users.Forget(r.user.Subject)
	return s.deleted(r)
}

// checkOwner is a readiness check: a bucket that belongs to another installation must not be written to.
func (r *readiness) checkOwner(context.Context) error {
	if r.parts.Owner.Last() == store.Stranger {
		return errors.New("the object store belongs to another installation")
	}
	return nil
}

// ownership returns the state of the installation for /ready; empty if deletions are allowed.
func ownership(o *store.Owner) string {
	if o == nil {
		return ""
	}
	switch state := o.Last(); state {
	case store.Copy, store.Disputed, store.Stranger:
		return state.String()
	}
	return ""
}

// deletionQueued is the answer to a deletion while no object may be deleted.
type deletionQueued struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// deleted answers a deletion: 204, or 202 while the ownership of the object store is disputed and its objects must wait.
func (s *server) deleted(r *request) error {
	if ownership(s.Owner) == "" {
		statusOnly(r, http.StatusNoContent)
		return nil
	}
	return r.json(http.StatusAccepted, deletionQueued{
		Status: "queued",
		Message: "Nothing of it can be read any more. Its files will be removed as soon as an operator has confirmed " +
			"which database they belong to.",
	})
}
