package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// BenchmarkSnapshot scores a file with explanations on one core, in turn with and without a snapshot.
func BenchmarkSnapshot(b *testing.B) {
	for _, name := range engine.BaselineNames() {
		b.Run(name, func(b *testing.B) {
			bundle := baseline(b, name)
			head, rows, _ := strings.Cut(sample(b, name+"_sample.csv"), "\n")
			file := head + "\n" + strings.Repeat(rows, 1+100_000/strings.Count(rows, "\n"))
			without, with := time.Hour, time.Hour // the fastest turn of each: others share the machine
			var scored int64
			turn := func(s *engine.Snapshot) time.Duration {
				begin := time.Now()
				opt := engine.Options{Workers: 1, Explain: engine.ExplainAll, Snapshot: s}
				_, tally, err := score(b, file, bundle, opt, ingest.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				scored = tally.Scored
				if s != nil {
					_ = s.Bytes()
				}
				return time.Since(begin)
			}
			for b.Loop() {
				without = min(without, turn(nil))
				with = min(with, turn(engine.NewSnapshot(keyed("key"))))
			}
			b.ReportMetric(float64((with-without).Nanoseconds())/float64(scored), "snapshot-ns/row")
			b.ReportMetric(float64(without.Nanoseconds())/float64(scored), "explained-ns/row")
			b.ReportMetric(float64(with)/float64(without), "ratio")
		})
	}
}
