package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

const (
	engineFeatures = 50
	engineRows     = 16384
)

// engines are the ways to score one model.
type engines struct {
	forest   *forest.Forest
	leaves   *forest.Leaves     // nil if leaves cannot hold the model; then noLeaves says why
	compiled []*forest.Compiled // by kernel, the one in use last
	noLeaves error
}

// newEngines refuses a model on which the engines disagree.
func newEngines(f *forest.Forest) (*engines, error) {
	e := &engines{forest: f}
	e.leaves, e.noLeaves = forest.NewLeaves(f)
	var scorers []forest.RawScorer
	for _, kernel := range forest.Kernels() {
		c, err := forest.CompileFor(f, kernel)
		if err != nil {
			return nil, err
		}
		e.compiled = append(e.compiled, c)
		scorers = append(scorers, c.NewScorer())
	}
	return e, forest.SelfCheck(f, e.leaves, scorers...)
}

func (e *engines) best() *forest.Compiled { return e.compiled[len(e.compiled)-1] }

func compiledName(c *forest.Compiled) string { return "compiled/" + c.Kernel() }

func binningName(c *forest.Compiled) string { return "binning/" + c.Kernel() }

// contest scores the rows in batches of one size.
func (e *engines) contest(name, note string, rows forest.Rows, size int) contest {
	batches := cut(rows, size)
	c := contest{name: name, note: note, trees: len(e.forest.Trees)}
	add := func(name string, score func(dst []float64, rows forest.Rows) error) {
		dst := make([]float64, size*e.forest.Classes)
		c.contestants = append(c.contestants, contestant{
			name: name, rows: size,
			operate: func(i int) error { return score(dst, batches[i%len(batches)]) },
		})
	}
	if e.leaves != nil {
		add("leaves", e.leaves.Raw)
	}
	for _, compiled := range e.compiled {
		add(compiledName(compiled), raw(compiled.NewScorer()))
	}
	for _, compiled := range e.compiled {
		if size < 64 { // few rows are binned one by one
			break
		}
		s := compiled.NewScorer()
		add(binningName(compiled), func(_ []float64, rows forest.Rows) error { s.Bin(rows); return nil })
	}
	return c
}

func raw(s *forest.Scorer) func([]float64, forest.Rows) error {
	return func(dst []float64, rows forest.Rows) error {
		s.Raw(dst, rows)
		return nil
	}
}

func runEngine(ctx context.Context, o Options, r *Report) error {
	w, err := newWorkload(o, engineFeatures, o.pick(engineRows, 128))
	if err != nil {
		return err
	}
	e, err := newEngines(w.forest)
	if err != nil {
		return err
	}
	if e.noLeaves != nil && o.Forest == nil {
		return e.noLeaves
	}
	s := newStopwatch(o)
	for _, kind := range w.kinds {
		for _, size := range batchSizes(kind.rows.Len) {
			name := fmt.Sprintf("%s/%d", kind.name, size)
			if err := r.measure(ctx, s, e.contest(name, kind.note, kind.rows, size)); err != nil {
				return err
			}
		}
	}
	if err := r.measureWorkers(ctx, s, e.workers(w.kinds[0].rows)); err != nil {
		return err
	}
	if o.Forest != nil {
		return nil
	}
	if err := runTelecom(ctx, o, r, s); err != nil {
		return err
	}
	r.engineGoals(e, w.kinds[0].rows.Len)
	return nil
}

// batchSizes are the sizes that the rows are enough for, and all of them at once.
func batchSizes(rows int) []int {
	var sizes []int
	for _, size := range []int{1, 64, 1024} {
		if size < rows {
			sizes = append(sizes, size)
		}
	}
	return append(sizes, rows)
}

// workers compares one worker with two that have half of the rows each.
func (e *engines) workers(rows forest.Rows) contest {
	score := func(workers int) func(int) error {
		parts := cut(rows, max(rows.Len/workers, 1))[:min(workers, rows.Len)]
		scorers := make([]func(), len(parts))
		for i, part := range parts {
			s, dst := e.best().NewScorer(), make([]float64, part.Len*e.forest.Classes)
			scorers[i] = func() { s.Raw(dst, part) }
		}
		return func(int) error { runParallel(scorers); return nil }
	}
	return contest{
		name: "workers", note: "one worker and two, each with its share of the rows", trees: len(e.forest.Trees),
		wall: true, contestants: []contestant{{"one", rows.Len, score(1)}, {"two", rows.Len, score(2)}},
	}
}

// runTelecom scores the bundle that customers meet first.
func runTelecom(ctx context.Context, o Options, r *Report, s stopwatch) error {
	b, err := engine.OpenBaseline("telecom")
	if err != nil {
		return err
	}
	rows, err := bundleRows(b, o.telecom(b))
	if err != nil {
		return err
	}
	e, err := newEngines(b.Forest())
	if err != nil {
		return err
	}
	return r.measure(ctx, s, e.contest("telecom", "the telecom bundle's model on its sample", rows, rows.Len))
}

func (r *Report) engineGoals(e *engines, rows int) {
	name := func(kind string, size int) string { return fmt.Sprintf("%s/%d", kind, size) }
	best, binning := compiledName(e.best()), binningName(e.best())
	r.atLeast("leaves' time / compiled's, random rows", 60, "x", r.find(name(random, rows), best).Ratio)
	r.atLeast("leaves' time / compiled's, realistic rows", 15, "x", r.find(name(realistic, rows), best).Ratio)
	r.atLeast("leaves' time / compiled's, rows much alike", 15, "x", r.find(name(alike, rows), best).Ratio)
	r.atLeast("leaves' time / compiled's, a single realistic row", 10, "x", r.find(name(realistic, 1), best).Ratio)
	all := r.find(name(realistic, rows), best)
	half := r.find(name(realistic, rows), binning)
	kernels := map[string]float64{"avx512": 0.6, "avx2": 1.5, "portable": 9}
	for _, c := range slices.Backward(e.compiled) {
		m := r.find(name(realistic, rows), compiledName(c))
		binned := r.find(name(realistic, rows), binningName(c))
		trees := m.NsPerRowTreeMin - binned.NsPerRowTreeMin
		r.atMost("trees alone, "+c.Kernel(), kernels[c.Kernel()], "ns/row/tree", trees)
	}
	r.atMost("binning's share of the whole", 30, "%", 100*timeRatio(half, all))
	r.atLeast("two workers' best speed / one's", 1.9, "x", r.find("workers", "two").RatioOfMinima)
}
