package engine_test

import (
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// BenchmarkPass scores a file on one core. Its CPU profile shows the cost of counting.
func BenchmarkPass(b *testing.B) {
	for _, name := range engine.BaselineNames() {
		for _, explain := range []engine.Explain{engine.ExplainNone, engine.ExplainAll} {
			b.Run(name+"/explain="+string(explain), func(b *testing.B) { benchmarkPass(b, name, explain) })
		}
	}
}

func benchmarkPass(b *testing.B, name string, explain engine.Explain) {
	bundle := baseline(b, name)
	head, rows, _ := strings.Cut(sample(b, name+"_sample.csv"), "\n")
	file := head + "\n" + strings.Repeat(rows, 1+50_000/strings.Count(rows, "\n"))
	opt := engine.Options{Workers: 1, Explain: explain}
	scored := int64(0)
	for b.Loop() {
		_, tally, err := score(b, file, bundle, opt, ingest.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		scored += tally.Scored
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(scored), "ns/row")
}
