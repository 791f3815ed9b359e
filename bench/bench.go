// Package bench measures how fast the engine, the explanations and the reading of files are, beside what else Go has
// for the same work: in one process, on one thread, on the same rows, taking turns. Only the ratios mean something on
// another day or machine. Two more suites measure a whole service: the API under load, and uploads from end to end.
package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/retainwise/millrace/engine/forest"
)

// Options say what to measure and for how long.
type Options struct {
	Seconds float64 // for each comparison; each is measured at least five rounds
	Quick   bool    // small and once: tries the program, says nothing about the machine
	// Sample is a CSV file for the telecom bundle; rows are made up if there is none.
	Sample []byte
	// DatabaseURL is a PostgreSQL whose schema millrace_bench is measured in and dropped; empty: one is started. Its
	// user must be allowed to let the server write and read a file.
	DatabaseURL string
	// Forest and Rows are measured in place of the test model and drawn rows, if set. Rows.Len may not be 0 then.
	Forest *forest.Forest
	Rows   forest.Rows
	// Floors are what the suite "gate" judges by.
	Floors Floors
}

// Suites are the names that [Run] knows, in the order of docs/benchmarks.md. It also knows "queries" and "indexes",
// whose figures are in docs/database.md, "upgrade", of docs/operations.md, and "gate", which compares ratios with their
// floors.
func Suites() []string {
	return []string{"engine", "explain", "ingest", "copy", "api", "e2e", "fairness"}
}

// Run measures one suite. It sets GOMAXPROCS, of the whole process, to one or two while it measures.
func Run(ctx context.Context, suite string, o Options) (*Report, error) {
	r := &Report{Suite: suite, Machine: describeMachine(), Command: command(suite, o), Goals: []goal{}}
	run, known := map[string]func(context.Context, Options, *Report) error{
		"engine": runEngine, "explain": runExplain, "ingest": runIngest, "copy": runCopy, "queries": runQueries, "indexes": runIndexes, "upgrade": runUpgrade,
		"api": runAPI, "e2e": runE2E, "fairness": runFairness, "gate": runGate,
	}[suite]
	if !known {
		return nil, fmt.Errorf("no suite %q: choose one of %s", suite, strings.Join(Suites(), ", "))
	}
	othersWork := []string{"copy", "queries", "indexes", "upgrade", "api", "e2e", "fairness"} // that of another process
	if !slices.Contains(othersWork, suite) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	if err := run(ctx, o, r); err != nil {
		return nil, fmt.Errorf("suite %s: %w", suite, err)
	}
	return r, nil
}

// command is what gives the same report again.
func command(suite string, o Options) string {
	line := fmt.Sprintf("millrace bench %s --seconds %g", suite, o.Seconds)
	if o.Quick {
		line += " --quick"
	}
	if o.Forest != nil {
		line += " --model FILE --data FILE"
	}
	return line
}

// measure adds a comparison to the report.
func (r *Report) measure(ctx context.Context, s stopwatch, c contest) error {
	comparison, err := s.measure(ctx, c)
	if err != nil {
		return err
	}
	r.Comparisons = append(r.Comparisons, comparison)
	return nil
}

// measureWorkers does so with a second core.
func (r *Report) measureWorkers(ctx context.Context, s stopwatch, c contest) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	return r.measure(ctx, s, c)
}

// runParallel runs the tasks at once and waits for all.
func runParallel(tasks []func()) {
	var group sync.WaitGroup
	for _, task := range tasks {
		group.Go(task)
	}
	group.Wait()
}

// workload is a model and named kinds of rows for it.
type workload struct {
	forest *forest.Forest
	kinds  []kindOfRows
}

type kindOfRows struct {
	name, note string
	rows       forest.Rows
}

const (
	realistic = "realistic"
	random    = "random"
	alike     = "alike"
)

// newWorkload takes the model and rows of the options, or else the test model of so many features and drawn rows.
func newWorkload(o Options, features, rows int) (*workload, error) {
	if o.Forest != nil {
		return &workload{o.Forest, []kindOfRows{{"given", "the rows of --data", o.Rows}}}, nil
	}
	f, err := readModel(features, o.pick(500, 10))
	if err != nil {
		return nil, err
	}
	drawn, tossed := newCustomers(features, scoredSeed).draw(rows), atThresholds(f, rows, thresholdSeed)
	return &workload{f, []kindOfRows{
		{realistic, "from the distribution that the model was trained on", drawn},
		{random, "every cell at a threshold of the model or just above", tossed},
		{alike, "one customer again and again, a tenth of the cells drawn anew", similarRows(drawn)},
	}}, nil
}

// pick gives small in place of full when only the program is tried.
func (o Options) pick(full, small int) int {
	if o.Quick {
		return small
	}
	return full
}
