package admin

import (
	"errors"
	"net/http"

	"github.com/retainwise/millrace/store"
)

// installationView is the ownership of the object store and the state of its cleanup.
type installationView struct {
	Installation     string  `json:"installation"` // the database's
	Sweeps           int64   `json:"sweeps"`
	State            string  `json:"state"`
	DeletionsWaiting int     `json:"deletions_waiting"`
	Orphans          int     `json:"orphans"`
	SweepStopped     *string `json:"sweep_stopped"` // the reason; null while sweeping
}

func (a *Admin) installation(req *http.Request) (any, error) {
	if a.Owner == nil {
		return nil, store.ErrNotFound
	}
	state, err := a.Owner.Check(req.Context())
	view := installationView{State: state.String()}
	if err != nil {
		a.Log.Warn("check installation", "error", err)
	}
	mark, err := a.Store.Upkeep.Mark(req.Context())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err == nil {
		view.Installation, view.Sweeps = mark.Installation.String(), mark.Sweeps
	}
	h, err := a.Store.Upkeep.Housekeeping(req.Context())
	if err != nil {
		return nil, err
	}
	view.DeletionsWaiting, view.Orphans = h.Deletions, h.Orphans
	if h.Stopped != nil {
		view.SweepStopped = &h.Stopped.Reason
	}
	return view, nil
}
