// Chaos kills and stops millrace's processes and breaks its connections while files are scored, and checks that
// nothing is lost, doubled or changed. README.md says how to run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	c, err := readConfig()
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = command(ctx, c, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, c config, args []string) error {
	if len(args) == 0 {
		return disturbAndCheck(ctx, c)
	}
	switch args[0] {
	case "scale":
		return scale(ctx, c)
	case "outages":
		return outages(ctx, c)
	case "alerts":
		return provokeAlerts(ctx, c)
	case "abuse":
		return abuse(ctx, c)
	case "attack": // of abuse, which starts it
		return attackFromStandardInput(ctx)
	}
	return fmt.Errorf("no command %s: there are scale, outages, alerts and abuse", args[0])
}

// recoveryMax is no goal but the border to a system that hangs: wall times of a busy machine prove little more.
const recoveryMax = 2 * time.Minute

func disturbAndCheck(ctx context.Context, c config) error {
	fmt.Printf("CHAOS_SEED=%d: %d workers and an API, lease %s\n", c.Seed, c.Workers, c.Lease)
	begin := time.Now()
	c.Mishaps = true
	w, err := startWorld(ctx, c)
	if err != nil {
		return err
	}
	defer w.close()
	r := &rounds{world: w}
	d := newDisturber(w, r)
	disturbed(ctx, c, d, r)
	if ctx.Err() != nil {
		return errors.New("stopped by a signal")
	}
	for i := range r.done { // every process runs again: a late write would show
		r.verifyPrint(ctx, &r.done[i])
	}
	if err := errors.Join(w.charged(ctx), r.verifyFiles(ctx), d.verifyRemoved(ctx)); err != nil {
		return err
	}
	recovered, err := measure(ctx, w, d.kills)
	if err != nil {
		return err
	}
	recovered.longest(w)
	leftovers, err := w.checker.Leftovers(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\nafter %s: %d predictions with %d rows, %d objects of parts left over\n%s",
		time.Since(begin).Round(time.Second), len(r.done), r.rows, leftovers, recovered)
	fmt.Printf("  (the aim is a P95 of lease + 5 s = %s)\n", c.Lease+5*time.Second)
	w.notes.print()
	switch {
	case w.notes.bad() > 0:
		return fmt.Errorf("%d violations; CHAOS_SEED=%d", w.notes.bad(), c.Seed)
	case len(r.done) == 0 || w.notes.count(killsNote) == 0:
		return errors.New("nothing was disturbed")
	case len(w.notes.fewer(c.Each)) > 0:
		return fmt.Errorf("fewer than %d times: %s", c.Each, strings.Join(w.notes.fewer(c.Each), ", "))
	case percentile(recovered.next, 95) > recoveryMax:
		return fmt.Errorf("it takes more than %s to recover", recoveryMax)
	}
	fmt.Println("\nnothing lost, nothing twice, nothing changed")
	return nil
}

// disturbed runs rounds while everything is disturbed, and lets the last ones end in peace.
func disturbed(ctx context.Context, c config, d *disturber, r *rounds) {
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	for range c.Rounds {
		group.Go(func() { r.run(sending) })
	}
	d.run(sending)
	stop()
	group.Wait()
	wait(ctx, c.Lease+2*time.Second) // for late writers
}

func (n *notes) print() {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for name := range n.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if n.counts[name] > 0 {
			fmt.Printf("  %7d %s\n", n.counts[name], name)
		}
	}
}
