package main

import (
	"context"
	"fmt"
	"time"
)

// Mishaps are what operators and providers do to a store, crashes to a sweep, and files to workers. Beside these there are
// [refused] and flipped bits.
const (
	strangerNote = "a stranger on the bucket"
	sweeperNote  = "a worker killed in the middle of a sweep"
	copyNote     = "a restored copy"
	swapNote     = "a swapped bundle before a restart"
)

// mishaps lets one after the other happen, until ctx ends or one has gone wrong. What has begun is ended.
func (d *disturber) mishaps(ctx context.Context) {
	for n := 0; ; n++ {
		for _, mishap := range []struct {
			name string
			do   func(ctx context.Context, n int) error
		}{
			{swapNote, d.swapBundle},
			{sweeperNote, d.killSweeper},
			{strangerNote, d.meetStranger},
			{copyNote, d.restoreCopy},
			{deadlyNote, d.sendDeadly},
		} {
			if d.waitForDone(ctx); ctx.Err() != nil {
				return
			}
			if err := d.oneMishap(ctx, mishap.do, n); err != nil {
				d.notes.violation("%s: %v", mishap.name, err)
				return
			}
			d.notes.add(mishap.name)
		}
	}
}

func (d *disturber) oneMishap(ctx context.Context, do func(context.Context, int) error, n int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.config.Stuck)
	defer cancel()
	return do(ctx, n)
}

// waitForDone waits until there are predictions of which something could be lost.
func (d *disturber) waitForDone(ctx context.Context) {
	for ctx.Err() == nil {
		d.rounds.mu.Lock()
		n := len(d.rounds.done)
		d.rounds.mu.Unlock()
		if n >= 2 {
			return
		}
		wait(ctx, 50*time.Millisecond)
	}
}

// until waits for something, which an error says in words when ctx has ended before.
func (d *disturber) until(ctx context.Context, what string, is func() (bool, error)) error {
	for {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		if wait(ctx, 50*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("waited in vain until %s", what)
		}
	}
}

// fewer lists the kinds of mishaps that came fewer times than wanted.
func (n *notes) fewer(wanted int) (names []string) {
	kinds := []string{strangerNote, sweeperNote, copyNote, swapNote, flipsNote, deadlyNote}
	for _, f := range refused {
		kinds = append(kinds, f.name)
	}
	for _, kind := range kinds {
		if have := n.count(kind); have < wanted {
			names = append(names, fmt.Sprintf("%s (%d)", kind, have))
		}
	}
	return names
}
