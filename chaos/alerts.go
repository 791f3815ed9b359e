package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	healthyTime = 40 * time.Second  // of load, in which no alert may fire
	firesWithin = 150 * time.Second // after its cause
	endsWithin  = 180 * time.Second // after its cause has ended
)

// alertTimes is what was measured of an alert.
type alertTimes struct {
	how          string
	fired, ended time.Duration // from the cause to the alert, and from the end of the cause to that of the alert
	skipped      string        // why it was not provoked
	err          error
}

// provokeAlerts runs two APIs and two workers under a real Prometheus with the shipped rules. It fails if an alert fires
// while all is well, and unless each fires when its cause is there and ends when that has ended.
func provokeAlerts(ctx context.Context, c config) error {
	begin := time.Now()
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		return err
	}
	if err := checkCauses(alertNames(rules)); err != nil {
		return err
	}
	i, err := startInstallation(ctx, c, rules)
	if err != nil {
		return err
	}
	defer i.close()
	fmt.Printf("two APIs, two workers and Prometheus run after %s; for %s all is well\n",
		time.Since(begin).Round(time.Second), healthyTime)
	if err := i.staysQuiet(ctx); err != nil {
		return err
	}
	results := &alertResults{byName: map[string]alertTimes{}}
	for _, stage := range stages {
		var together sync.WaitGroup
		for _, p := range stage {
			together.Go(func() { i.provoke(ctx, p, results) })
		}
		together.Wait()
		if err := i.untilServing(ctx); err != nil {
			return err
		}
	}
	results.ending.Wait()
	fmt.Printf("\n%s", results.table(alertNames(rules)))
	fmt.Printf("\nafter %s\n", time.Since(begin).Round(time.Second))
	return results.failure(ctx)
}

// staysQuiet fails if an alert fires while all is well.
func (i *installation) staysQuiet(ctx context.Context) error {
	for begin := time.Now(); time.Since(begin) < healthyTime; wait(ctx, time.Second) {
		firing, err := i.prometheus.firing(ctx)
		if err != nil {
			return err
		}
		if len(firing) > 0 {
			return fmt.Errorf("all is well, and there is %v", firing)
		}
	}
	if sent, failed := i.load.sent.Load(), i.load.failed.Load(); sent < 100 || failed > 0 {
		return fmt.Errorf("all is well, and of %d requests %d failed", sent, failed)
	}
	return nil
}

// provoke causes alerts, waits until all have fired, and ends the cause. That they end is waited for besides.
func (i *installation) provoke(ctx context.Context, p provocation, r *alertResults) {
	if p.root && os.Geteuid() != 0 {
		r.skip(p, "needs root")
		return
	}
	begin := time.Now()
	end, err := p.cause(ctx, i)
	fired := make([]time.Duration, len(p.alerts))
	if err == nil {
		err = i.await(ctx, firesWithin, p.alerts, true, func(n int) { fired[n] = time.Since(begin) })
	}
	if end != nil {
		err = errors.Join(err, end(ctx))
	}
	if err != nil {
		r.fail(p, fired, err)
		return
	}
	i.write("%s: fired after %v", p.how, fired)
	ended := time.Now()
	r.ending.Go(func() {
		after := make([]time.Duration, len(p.alerts))
		err := i.await(ctx, endsWithin, p.alerts, false, func(n int) { after[n] = time.Since(ended) })
		r.add(p, fired, after, err)
	})
}

// await waits until every alert fires, or none does any more, and calls seen once for each.
func (i *installation) await(
	ctx context.Context, most time.Duration, alerts []alertID, fires bool, seen func(n int),
) error {
	left := map[int]bool{}
	for n := range alerts {
		left[n] = true
	}
	for begin := time.Now(); ; wait(ctx, 200*time.Millisecond) {
		firing, err := i.prometheus.firing(ctx)
		if err != nil {
			return err
		}
		for n := range alerts {
			if left[n] && slices.ContainsFunc(firing, alerts[n].is) == fires {
				seen(n)
				delete(left, n)
			}
		}
		switch {
		case len(left) == 0:
			return nil
		case time.Since(begin) > most || ctx.Err() != nil:
			var names []string
			for n := range left {
				names = append(names, alerts[n].String())
			}
			return fmt.Errorf("after %s firing is not %t: %s", most, fires, strings.Join(names, ", "))
		}
	}
}

// alertResults are by alert. They are safe for concurrent use.
type alertResults struct {
	mu     sync.Mutex
	byName map[string]alertTimes
	ending sync.WaitGroup
}

func (r *alertResults) skip(p provocation, why string) {
	r.each(p, func(int) alertTimes { return alertTimes{how: p.how, skipped: why} })
}

func (r *alertResults) fail(p provocation, fired []time.Duration, err error) {
	fmt.Printf("FAILED: %s: %v\n", p.how, err)
	r.each(p, func(n int) alertTimes { return alertTimes{how: p.how, fired: fired[n], err: err} })
}

func (r *alertResults) add(p provocation, fired, ended []time.Duration, err error) {
	if err != nil {
		r.fail(p, fired, err)
		return
	}
	r.each(p, func(n int) alertTimes { return alertTimes{how: p.how, fired: fired[n], ended: ended[n]} })
}

// each keeps what was measured first: an alert may have several causes.
func (r *alertResults) each(p provocation, of func(n int) alertTimes) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, id := range p.alerts {
		was, there := r.byName[id.String()]
		if !there || was.err == nil {
			r.byName[id.String()] = of(n)
		}
		if t := of(n); t.err == nil && t.skipped == "" {
			fmt.Printf("%-52s fired after %5.1f s, ended after %5.1f s\n", id, t.fired.Seconds(), t.ended.Seconds())
		}
	}
}

// table has a row for every alert, in the order of the rules.
func (r *alertResults) table(names []string) string {
	var b strings.Builder
	b.WriteString("| alert | provoked by | fires after | ends after |\n|---|---|---|---|\n")
	for _, name := range names {
		for _, id := range causedAlerts() {
			t, there := r.byName[id.String()]
			if id.name != name || !there {
				continue
			}
			switch {
			case t.err != nil:
				fmt.Fprintf(&b, "| `%s` | %s | FAILED | |\n", id, t.how)
			case t.skipped != "":
				fmt.Fprintf(&b, "| `%s` | %s | %s | |\n", id, t.how, t.skipped)
			default:
				fmt.Fprintf(&b, "| `%s` | %s | %.0f s | %.0f s |\n", id, t.how, t.fired.Seconds(), t.ended.Seconds())
			}
		}
	}
	return b.String()
}

func (r *alertResults) failure(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("stopped by a signal")
	}
	var failed []string
	for name, t := range r.byName {
		if t.err != nil {
			failed = append(failed, name)
		}
	}
	if slices.Sort(failed); len(failed) > 0 {
		return fmt.Errorf("not as they should: %s", strings.Join(failed, ", "))
	}
	fmt.Println("every alert fired when its cause was there, and ended with it; none fired while all was well")
	return nil
}
