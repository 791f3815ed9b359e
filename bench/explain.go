package bench

import (
	"bytes"
	"context"
	"fmt"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

const (
	explainFeatures = 20
	explainRows     = 8192
	exactRows       = 16 // of the exact path in one operation: it is slow
)

func runExplain(ctx context.Context, o Options, r *Report) error {
	w, err := newWorkload(o, explainFeatures, o.pick(explainRows, 64))
	if err != nil {
		return err
	}
	s := newStopwatch(o)
	rows := w.kinds[0].rows
	for _, size := range batchSizes(rows.Len) {
		if size == 1 && rows.Len > 1 { // never explained one by one
			continue
		}
		c, err := contributions(fmt.Sprintf("contributions/%d", size), w.forest, rows, size)
		if err != nil {
			return err
		}
		if err := r.measure(ctx, s, c); err != nil {
			return err
		}
	}
	if o.Forest != nil {
		return nil
	}
	for _, name := range engine.BaselineNames() {
		if err := runBundle(ctx, o, r, s, name); err != nil {
			return err
		}
	}
	all := r.find(fmt.Sprintf("contributions/%d", rows.Len), compiledContributions)
	r.atLeast("rows explained, 500 trees x 31 leaves on 20 features", 100_000, "rows/s", all.RowsPerSecond)
	for _, name := range engine.BaselineNames() {
		c := "end-to-end/" + name
		r.atMost(name+": time to explain all / none", 3, "x", timeRatio(r.find(c, "all"), r.find(c, "none")))
	}
	return nil
}

const (
	exactContributions    = "exact-float64"
	compiledContributions = "compiled"
)

// contributions compares the ways to explain the rows of a model in batches of one size.
func contributions(name string, f *forest.Forest, rows forest.Rows, size int) (contest, error) {
	exact, err := forest.NewExactExplainer(f)
	if err != nil {
		return contest{}, err
	}
	explainer, err := forest.NewExplainer(f)
	if err != nil {
		return contest{}, err
	}
	c := contest{name: name, note: "the exact path takes the same rows a few at a time", trees: len(f.Trees)}
	add := func(name string, size int, explain func([]float64, forest.Rows)) {
		batches, dst := cut(rows, size), make([]float64, size*f.Classes*(len(f.Features)+1))
		c.contestants = append(c.contestants, contestant{name, size, func(i int) error {
			explain(dst, batches[i%len(batches)])
			return nil
		}})
	}
	add(exactContributions, min(exactRows, size), exact.Contributions)
	add(compiledContributions, size, explainer.NewContributor().Contributions)
	return c, nil
}

// runBundle explains with a bundle that ships: its model alone, and from CSV to CSV.
func runBundle(ctx context.Context, o Options, r *Report, s stopwatch, name string) error {
	b, err := engine.OpenBaseline(name)
	if err != nil {
		return err
	}
	file := drawFile(b.Schema(), o.pick(drawnRows, 100))
	if name == "telecom" {
		file = o.telecom(b)
	}
	rows, err := bundleRows(b, file)
	if err != nil {
		return err
	}
	c, err := contributions("contributions/"+name, b.Forest(), rows, rows.Len)
	if err != nil {
		return err
	}
	if err := r.measure(ctx, s, c); err != nil {
		return err
	}
	return r.measure(ctx, s, endToEnd(ctx, b, file, rows.Len))
}

// endToEnd scores a file in memory, one worker, the result thrown away.
func endToEnd(ctx context.Context, b *engine.Bundle, file []byte, rows int) contest {
	c := contest{
		name: "end-to-end/" + b.Name(), note: "CSV to scored CSV in memory, with and without reasons",
		trees: len(b.Forest().Trees), bytes: len(file),
	}
	for _, explain := range []engine.Explain{engine.ExplainNone, engine.ExplainAll} {
		c.contestants = append(c.contestants, contestant{string(explain), rows, func(int) error {
			return scoreFile(ctx, b, file, explain)
		}})
	}
	return c
}

func scoreFile(ctx context.Context, b *engine.Bundle, file []byte, explain engine.Explain) error {
	header, body, err := ingest.ReadHeader(bytes.NewReader(file), ingest.Limits{})
	if err != nil {
		return err
	}
	in := engine.Input{Body: body, Header: header, Start: header.Start()}
	_, err = engine.Score(ctx, in, b, engine.Options{Workers: 1, Explain: explain, WithHeader: true}, discardSink{})
	return err
}

// discardSink is a sink that keeps nothing.
type discardSink struct{}

func (discardSink) WriteChunk(*engine.ScoredChunk) error { return nil }
