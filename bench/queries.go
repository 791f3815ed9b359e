package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/retainwise/millrace/store"
)

const (
	queryCalls  = 200 // of each method, for each second of Options.Seconds
	queryP95Max = 5.0 // milliseconds
)

// runQueries times every method of the store while many rows are stored, and explains every statement that the methods
// send. It calls the methods and has no copy of their SQL.
func runQueries(ctx context.Context, o Options, r *Report) (err error) {
	d, err := openMigrated(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	f := o.filling()
	r.Note = "With " + f.String() + "."
	w, err := openFilled(ctx, d, f)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := r.timeMethods(ctx, w, o.pick(max(20, int(queryCalls*o.Seconds)), 2)); err != nil {
		return err
	}
	if err := r.explainMethods(ctx, w, o.pick(20, 1)); err != nil {
		return err
	}
	r.queryGoals()
	return nil
}

// queryGoals leaves bulk work out.
func (r *Report) queryGoals() {
	slowest := 0.0
	for i := range r.Statements {
		if !r.Statements[i].bulk {
			slowest = max(slowest, r.Statements[i].P95)
		}
	}
	r.atMost("slowest statement, on the server, P95", queryP95Max, "ms", slowest)
	slowest, worst := 0.0, 0.0
	for _, l := range r.Latencies {
		if l.Note == "" {
			slowest, worst = max(slowest, l.P50), max(worst, l.P95)
		}
	}
	r.atMost("slowest method, from Go, with its commits, P50", queryP95Max, "ms", slowest)
	r.atMost("slowest method, from Go, with its commits, P95", queryP95Max, "ms", worst)
}

// method is one call of the store. The work's state says what it is about.
type method struct {
	name    string
	bulk    string                            // says how much work it is, if it is more than a few rows
	prepare func(context.Context) error       // not timed; nil: nothing to prepare
	call    func(context.Context) (err error) // timed
	after   func(context.Context) (err error) // not timed; nil: nothing to clear up
}

// once calls the method and returns how long it took.
func (m *method) once(ctx context.Context) (took time.Duration, err error) {
	if m.prepare != nil {
		if err := m.prepare(ctx); err != nil {
			return 0, fmt.Errorf("prepare %s: %w", m.name, err)
		}
	}
	begin := time.Now()
	err = m.call(ctx)
	took = time.Since(begin)
	if err != nil {
		return took, fmt.Errorf("%s: %w", m.name, err)
	}
	if m.after != nil {
		err = m.after(ctx)
	}
	return took, err
}

func (r *Report) timeMethods(ctx context.Context, w *storeWork, calls int) error {
	for _, m := range w.methods() {
		if _, err := m.once(ctx); err != nil { // plans are made
			return err
		}
		samples := make([]sample, calls)
		if m.bulk != "" { // has no bar, and what prepares it may take seconds
			samples = samples[:max(2, calls/10)]
		}
		for i := range samples {
			took, err := m.once(ctx)
			if err != nil {
				return err
			}
			samples[i].took = took
		}
		if err := r.addLatency(latency{Name: m.name, Note: m.bulk}, 0, samples); err != nil {
			return err
		}
	}
	return nil
}

// waitingMax is what a server allows by default.
const waitingMax = 1000

// openFilled fills a database and opens a store on it, which the caller closes.
func openFilled(ctx context.Context, d *database, f filling) (*storeWork, error) {
	if err := d.fill(ctx, f); err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, store.Config{URL: d.schemaURL(), WaitingMax: waitingMax})
	if err != nil {
		return nil, err
	}
	w, err := newStoreWork(ctx, s, d, f)
	if err != nil {
		s.Close()
		return nil, err
	}
	return w, nil
}

// measureStored fills a database and times the commit of a job and a page of rows.
func (r *Report) measureStored(ctx context.Context, d *database, o Options) error {
	f := o.filling()
	f.users, f.predictions, f.busiest, f.training = 10, max(f.large, 100), 100, 200
	r.Note = "Latencies with " + f.String() + "."
	w, err := openFilled(ctx, d, f)
	if err != nil {
		return err
	}
	defer w.Close()
	for i, m := range []method{w.commitPart(), w.pageOfRows()} {
		name := []string{"commit", "page"}[i]
		var samples []sample
		for range o.pick(max(20, int(queryCalls*o.Seconds)), 2) {
			took, err := m.once(ctx)
			if err != nil {
				return err
			}
			samples = append(samples, sample{took: took})
		}
		if err := r.addLatency(latency{Name: name, Note: m.name}, 0, samples); err != nil {
			return err
		}
	}
	return nil
}
