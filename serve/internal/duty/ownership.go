package duty

import (
	"context"
	"log/slog"
	"time"

	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

const (
	ownerInterval = 30 * time.Second
	ownerTimeout  = 20 * time.Second
)

// CheckOwnership checks that the object store belongs to this database. An object store that does not answer in time is no
// error: WatchOwnership checks it again while serving.
func CheckOwnership(ctx context.Context, o *store.Owner) error {
	checkCtx, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	err := o.Start(checkCtx)
	if err != nil && checkCtx.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// WatchOwnership checks the ownership of the object store every 30 s until ctx ends. It sets the gauges of the installation,
// and logs each change of state.
func WatchOwnership(ctx context.Context, o *store.Owner, s *store.Store, m *metrics.Metrics, log *slog.Logger) {
	was := o.Last()
	for ; ctx.Err() == nil; backoff.Pause(ctx, ownerInterval) {
		checkCtx, cancel := context.WithTimeout(ctx, ownerTimeout)
		state, err := o.Check(checkCtx)
		if err == nil && state == store.Unmarked { // the store was unavailable at the start, or a worker has to mark it
			err = o.Start(checkCtx)
			state = o.Last()
		}
		if err != nil && ctx.Err() == nil {
			log.Warn("check ownership of the object store", "error", err)
		}
		m.SetInstallation(state)
		if s.MayWork() {
			h, err := s.Upkeep.Housekeeping(checkCtx)
			if err == nil {
				m.SetHousekeeping(h)
			} else if ctx.Err() == nil {
				log.Warn("read deletions and orphans", "error", err)
			}
		}
		cancel()
		if state != was && ctx.Err() == nil {
			logOwnership(log, was, state)
		}
		was = state
	}
}

func logOwnership(log *slog.Logger, was, is store.Ownership) {
	level := slog.LevelInfo
	switch is {
	case store.Copy, store.Disputed, store.Stranger:
		level = slog.LevelError
	case store.Unknown:
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "ownership of the object store", "was", was.String(), "is", is.String())
}
