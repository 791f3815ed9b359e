package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/retainwise/millrace/serve/internal/fault"
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
		return fault.ExplainAs(fault.CodeDatabase, err)
	}
	return s.deleted(r)
}

// deleteAccount ends the account of the user. Their tokens are refused from now on; what they had is removed by the
// sweep.
func deleteAccount(s *server, r *request) error {
	if err := s.Store.DeleteAccount(r.ctx, r.user.ID); err != nil {
		return fault.ExplainAs(fault.CodeDatabase, err)
	}
	s.users.Forget(r.user.Subject)
	return s.deleted(r)
}

// checkOwner is a dependency's check: a store that belongs to another installation must not be written to.
func (r *readiness) checkOwner(context.Context) error {
	if r.parts.Owner.Last() == store.Stranger {
		return errors.New("the object store belongs to another installation")
	}
	return nil
}

// ownership is what /ready says of the installation; empty: nothing needs to be said.
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

// deletionQueued is the answer to a deletion while nothing may be removed from the object store.
type deletionQueued struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// deleted answers a deletion. Rows are gone at once; files wait if database and object store do not agree.
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
