package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// load is what workers ask of what they share.
type load map[string]float64

// loadMetrics are the counters that make it up: calls of S3 and SQS, and transactions or statements of the database.
var loadMetrics = []string{"millrace_aws_calls_total", "millrace_database_acquires_total"}

// readLoad adds up what the workers have counted since they started.
func readLoad(ctx context.Context, workers []*process) (load, error) {
	sum := load{}
	for _, p := range workers {
		p.mu.Lock()
		address := p.admin
		p.mu.Unlock()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
			sum.add(scan.Text())
		}
		_ = resp.Body.Close()
	}
	return sum, nil
}

// add adds a line such as name{label="value"} 12.
func (l load) add(line string) {
	series, value, _ := strings.Cut(line, " ")
	name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || !slices.Contains(loadMetrics, name) {
		return
	}
	what := "database"
	for label := range strings.SplitSeq(labels, ",") {
		if operation, ok := strings.CutPrefix(label, "operation="); ok {
			what = strings.Trim(operation, `"`)
		}
	}
	l[what] += n
}

// each lists the figures divided by n.
func (l load) each(n float64) string {
	var names, list []string
	for name := range l {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if l[name] > 0 {
			list = append(list, fmt.Sprintf("%s %.2f", name, l[name]/n))
		}
	}
	return strings.Join(list, ", ")
}

// idleFor is long enough for what happens twice a minute.
const idleFor = time.Minute

// idle measures what idle workers cost.
func idle(ctx context.Context, c config) error {
	c.Workers = 4
	w, err := newWorld(ctx, c, func(s *servers) (*network, error) { return newNetwork(s, "127.0.0.1") })
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.start(ctx); err != nil {
		return err
	}
	if err := w.ready(ctx); err != nil {
		return err
	}
	before, err := readLoad(ctx, w.workers)
	if err != nil {
		return err
	}
	wait(ctx, idleFor)
	after, err := readLoad(ctx, w.workers)
	if err != nil {
		return err
	}
	for name := range after {
		after[name] -= before[name]
	}
	var connections float64
	err = w.db.QueryRow(ctx, `
		SELECT count(*) FROM pg_stat_activity WHERE application_name = 'millrace' AND datname = current_database()`).
		Scan(&connections)
	fmt.Printf("an idle worker, a minute: %s; of %d workers and an API: %.0f connections\n",
		after.each(float64(c.Workers)), c.Workers, connections)
	return err
}

// ready waits until every worker is.
func (w *world) ready(ctx context.Context) error {
	for _, p := range w.workers {
		for ready := false; !ready; _, ready = p.workerName() {
			wait(ctx, 20*time.Millisecond)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}
