package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/retainwise/millrace/store"
)

const (
	ownerInterval = 30 * time.Second
	ownerTimeout  = 20 * time.Second
)

// startOwner looks whether the object store is this database's. A store that does not answer in time is asked again
// while serving.
func startOwner(ctx context.Context, o *store.Owner) error {
	asked, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	err := o.Start(asked)
	if err != nil && asked.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// watchOwner keeps the gauges of the installation current until ctx ends, and notices when database and object store
// stop to agree.
func watchOwner(ctx context.Context, o *store.Owner, s *store.Store, m *Metrics, log *slog.Logger) {
	was := o.Last()
	for ; ctx.Err() == nil; pause(ctx, ownerInterval) {
		asked, cancel := context.WithTimeout(ctx, ownerTimeout)
		state, err := o.Check(asked)
		if err == nil && state == store.Unmarked { // the store did not answer at the start, or a worker has to mark it
			err = o.Start(asked)
			state = o.Last()
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("watch ownership", "error", err)
		}
		m.installation(state)
		if s.MayWork() {
			h, err := s.Housekeeping(asked)
			if err == nil {
				m.housekeeping(h)
			} else if ctx.Err() == nil {
				log.Warn("watch deletions", "error", err)
			}
		}
		cancel()
		if state != was && ctx.Err() == nil {
			sayOwnership(log, was, state)
		}
		was = state
	}
}

func sayOwnership(log *slog.Logger, was, is store.Ownership) {
	level := slog.LevelInfo
	switch is {
	case store.Copy, store.Disputed, store.Stranger:
		level = slog.LevelError
	case store.Unknown:
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "ownership of the object store", "was", was.String(), "is", is.String())
}

// askOwner is a dependency's check: a store that belongs to another installation must not be written to.
func (r *readiness) askOwner(context.Context) error {
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

// installationView is what operators see of database and object store.
type installationView struct {
	Installation     string  `json:"installation"` // the database's
	Sweeps           int64   `json:"sweeps"`
	State            string  `json:"state"`
	DeletionsWaiting int     `json:"deletions_waiting"`
	Orphans          int     `json:"orphans"`
	SweepStopped     *string `json:"sweep_stopped"` // why
}

func (a *admin) installation(req *http.Request) (any, error) {
	if a.Owner == nil {
		return nil, store.ErrNotFound
	}
	state, err := a.Owner.Check(req.Context())
	view := installationView{State: state.String()}
	if err != nil {
		a.Log.Warn("check installation", "error", err)
	}
	mark, err := a.Store.Mark(req.Context())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err == nil {
		view.Installation, view.Sweeps = mark.Installation.String(), mark.Sweeps
	}
	h, err := a.Store.Housekeeping(req.Context())
	if err != nil {
		return nil, err
	}
	view.DeletionsWaiting, view.Orphans = h.Deletions, h.Orphans
	if h.Stopped != nil {
		view.SweepStopped = &h.Stopped.Reason
	}
	return view, nil
}
