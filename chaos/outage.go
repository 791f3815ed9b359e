package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// outage is what was seen while a server was unavailable, and afterwards.
type outage struct {
	server, fault string
	reported      time.Duration // until readiness reported it; 0: never
	slowest       time.Duration // answer to a request
	answers       map[int]int   // to GET /predictions, by status; 0: none
	ended         int           // predictions meanwhile
	ready, part   time.Duration // from its end: until readiness was complete, and to the next commit of a part
}

// outages makes PostgreSQL, S3 and SQS unavailable in turn while files are sent and scored, first so that connections are
// refused and then so that nothing is answered, and disturbs nothing else. No file may be lost, and no attempt charged.
func outages(ctx context.Context, c config) error {
	c.Lease = 30 * time.Second
	fmt.Printf("CHAOS_SEED=%d: %d workers and an API, lease %s, each server unavailable for %s\n",
		c.Seed, c.Workers, c.Lease, c.Outage)
	w, err := startWorld(ctx, c)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.ready(ctx); err != nil {
		return err
	}
	r := &rounds{world: w}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	for range c.Rounds {
		group.Go(func() { r.run(sending) })
	}
	seen, err := w.outages(ctx)
	stop()
	group.Wait()
	if err != nil {
		return err
	}
	fmt.Printf("\n%-12s %-8s %10s %10s %10s %12s %12s  %s\n",
		"server", "by", "reported", "slowest", "completed", "ready again", "next part", "answers")
	for _, o := range seen {
		fmt.Printf("%-12s %-8s %10s %10s %10d %12s %12s  %v\n",
			o.server, o.fault, round(o.reported), round(o.slowest), o.ended, round(o.ready), round(o.part), o.answers)
	}
	return w.judge(ctx, r, seen)
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }

// outages are all servers' in turn.
func (w *world) outages(ctx context.Context) (seen []outage, err error) {
	for _, fault := range []string{"cut", "silent"} {
		for _, l := range w.network.links {
			wait(ctx, 10*time.Second) // everything is well, and files are under way
			o, err := w.outage(ctx, l, fault)
			if err != nil {
				return nil, err
			}
			fmt.Printf("%s is back (%s): reported after %s, ready again after %s, next part after %s\n",
				o.server, fault, round(o.reported), round(o.ready), round(o.part))
			seen = append(seen, o)
		}
	}
	return seen, nil
}

func (w *world) outage(ctx context.Context, l *link, fault string) (o outage, err error) {
	o = outage{server: l.name, fault: fault, answers: map[int]int{}}
	begin, err := w.now(ctx)
	if err != nil {
		return o, err
	}
	var group sync.WaitGroup
	group.Go(func() { l.suffer(ctx, faultNamed(fault), w.config.Outage) })
	from := time.Now()
	group.Go(func() {
		for o.reported == 0 && time.Since(from) < w.config.Outage && ctx.Err() == nil {
			if wait(ctx, 100*time.Millisecond); !w.allWell(ctx) {
				o.reported = time.Since(from)
			}
		}
	})
	token := w.client.issuer.token("watcher")
	for time.Since(from) < w.config.Outage && ctx.Err() == nil {
		asked := time.Now()
		status, _, _ := w.client.do(ctx, http.MethodGet, w.client.api+"/predictions", token, "", nil)
		o.answers[status]++ // 0: none
		o.slowest = max(o.slowest, time.Since(asked))
		wait(ctx, time.Second)
	}
	group.Wait()
	back := time.Now()
	end, err := w.now(ctx)
	if err != nil {
		return o, err
	}
	for !w.allWell(ctx) {
		if wait(ctx, 50*time.Millisecond); time.Since(back) > recoveryMax || ctx.Err() != nil {
			return o, fmt.Errorf("%s (%s): never ready again", l.name, fault)
		}
	}
	o.ready = time.Since(back)
	if o.part, err = w.nextPart(ctx, end); err != nil {
		return o, fmt.Errorf("%s (%s): %w", l.name, fault, err)
	}
	err = w.db.QueryRow(ctx, `
		SELECT count(*) FROM predictions WHERE status = 'completed' AND finished_at BETWEEN $1 AND $2`, begin, end).
		Scan(&o.ended)
	return o, err
}

func faultNamed(name string) int {
	for i := range faults {
		if faults[i].name == name {
			return i
		}
	}
	panic("no fault " + name) // the tables of this program are wrong
}

// allWell reports whether the API is ready without degradation.
func (w *world) allWell(ctx context.Context) bool {
	status, body, err := w.client.do(ctx, http.MethodGet, w.client.api+"/ready", "", "", nil)
	return err == nil && status == http.StatusOK && bytes.Contains(body, []byte(`"status":"ready"`))
}

func (w *world) now(ctx context.Context) (at time.Time, err error) {
	err = w.db.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at)
	return at, err
}

// nextPart is how long after a time by the clock of the database a part was committed.
func (w *world) nextPart(ctx context.Context, after time.Time) (time.Duration, error) {
	for begin := time.Now(); time.Since(begin) < recoveryMax && ctx.Err() == nil; wait(ctx, 50*time.Millisecond) {
		var at *time.Time
		err := w.db.QueryRow(ctx, `SELECT min(done_at) FROM prediction_parts WHERE done_at > $1`, after).Scan(&at)
		if err != nil {
			return 0, err
		}
		if at != nil {
			return at.Sub(after), nil
		}
	}
	return 0, errors.New("no part was committed afterwards")
}

// judge fails unless every file was scored without a failure and every outage reported. A part that another worker took over when its
// lease had ended has a death if it was done before the first worker could take that back.
func (w *world) judge(ctx context.Context, r *rounds, seen []outage) error {
	for i := range r.done {
		r.verifyPrint(ctx, &r.done[i])
	}
	var failures, taken, finishes, parts int
	err := w.db.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM prediction_failures WHERE error->>'stage' <> 'lease'), (SELECT count(*) FROM predictions WHERE finish_deaths > 0),
		       count(*) FILTER (WHERE deaths > 0), count(*)
		FROM prediction_parts`).Scan(&failures, &finishes, &taken, &parts)
	if err != nil {
		return err
	}
	fmt.Printf("\n%d predictions with %d rows in %d parts\n", len(r.done), r.rows, parts)
	fmt.Printf("%d failures; %d parts and %d last steps were taken over and done before their first worker returned\n",
		failures, taken, finishes)
	w.notes.print()
	for _, o := range seen {
		if o.reported == 0 {
			w.notes.violation("readiness never reported the outage of %s (%s)", o.server, o.fault)
		}
	}
	switch {
	case w.notes.bad() > 0:
		return fmt.Errorf("%d violations; CHAOS_SEED=%d", w.notes.bad(), w.config.Seed)
	case failures > 0:
		return errors.New("an outage was charged as a failure")
	}
	fmt.Println("\nnothing lost, nothing charged")
	return nil
}
