//go:build unix

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	watchInterval = time.Second
	settleDefault = 10 * time.Second
	revivalsMax   = 12          // starts in a row that fail: some 50 s of backoff
	revivalsReset = time.Minute // a server that ran for so long is started again without a long pause
	revivalMin    = 50 * time.Millisecond
	revivalMax    = 8 * time.Second
)

// Supervise keeps the server running until ctx ends or [Cluster.Stop] is called, and then returns nil. A server that has
// ended, whoever ended it, is started again. One whose programs have been replaced on disk, as an upgrade of the package
// does, is restarted. Connections are cut; what is committed stays. [ErrNotRunning] means that the server could not be
// started again; one that starts is never given up, however often it ends.
func (c *Cluster) Supervise(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var w watch
	var row, failed int // revivals without a long run between them, and the last of these that failed
	var last *server
	for {
		s := c.current()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.look(ctx, s, &w)
			continue
		case <-s.exited:
		}
		if ctx.Err() != nil || c.life.Err() != nil { // it was stopped
			return nil
		}
		if s != last && s.lasted() > revivalsReset {
			row = 0
		}
		last = s
		if failed == c.revivals {
			return fmt.Errorf("%w: the end of %s:\n%s", ErrNotRunning, c.place.logFile(), tail(c.place.logFile()))
		}
		row++
		if failed++; c.revive(ctx, s, row) {
			failed = 0
		}
	}
}

// revive starts the server again after one has ended, and reports whether it runs.
func (c *Cluster) revive(ctx context.Context, s *server, row int) bool {
	c.config.Warn(fmt.Sprintf("PostgreSQL has ended (%s): starting it again", s.command.ProcessState))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(min(revivalMin<<min(row, 16), revivalMax)):
	}
	begin := time.Now()
	if err := c.restart(ctx); err != nil {
		if ctx.Err() == nil {
			c.config.Warn("start PostgreSQL again: " + err.Error())
		}
		return false
	}
	c.config.Warn(fmt.Sprintf("PostgreSQL runs again after %s", time.Since(begin).Round(time.Millisecond)))
	return true
}

// restart starts a server in place of one that has ended.
func (c *Cluster) restart(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	bin, err := inspect(ctx, c.place.bin.dir) // an upgrade may have put another version there
	if err == nil {
		_, err = pick([]binaries{bin}, c.place.bin.major, c.place.data())
	}
	if err == nil {
		err = c.clear(ctx)
	}
	if err != nil {
		return err
	}
	if err = c.run(ctx); err != nil && !c.server.ended() {
		err = errors.Join(err, c.server.stop(context.WithoutCancel(ctx)))
	}
	return err
}

// watch is what the looks at a server have seen.
type watch struct {
	programs programs
	since    time.Time // when they were seen first as they are
	missed   bool      // it was said that they are gone
}

// look stops a server that has to be started anew: one whose programs were replaced, and one that was asked to stop by
// another and waits for our connections to end. Supervise starts it again.
func (c *Cluster) look(ctx context.Context, s *server, w *watch) {
	switch now := s.programs.now(); {
	case s.ended():
		return
	case c.place.stopping(s.command.Process.Pid):
		c.config.Warn("PostgreSQL was asked to stop: stopping it, to start it again")
	case now == s.programs:
		*w = watch{}
		return
	case !now.complete():
		if !w.missed {
			c.config.Warn("PostgreSQL's programs are gone from " + now.dir() + ": the server goes on, and cannot be started again")
		}
		*w = watch{missed: true}
		return
	case now != w.programs:
		w.programs, w.since = now, time.Now()
		return
	case time.Since(w.since) < c.config.Settle:
		return
	default:
		c.config.Warn("PostgreSQL's programs in " + now.dir() + " have changed: restarting it")
	}
	*w = watch{}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.stop(context.WithoutCancel(ctx)); err != nil {
		c.config.Warn(err.Error())
	}
}
