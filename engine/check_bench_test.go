//go:build unix

package engine_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// BenchmarkLeavesSample scores 10,000 rows with explanations on one core, alternating with and without the sample that
// leaves scores too, and reports the ratio of the medians of processor time.
func BenchmarkLeavesSample(b *testing.B) {
	for _, name := range engine.BaselineNames() {
		b.Run(name, func(b *testing.B) {
			bundle := baseline(b, name)
			head, rows, _ := strings.Cut(sample(b, name+"_sample.csv"), "\n")
			file := head + "\n" + strings.Repeat(rows, 10_000/strings.Count(rows, "\n"))
			turn := func(check bool) time.Duration {
				header, body, err := ingest.ReadHeader(strings.NewReader(file), ingest.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				in := engine.Input{Body: body, Header: header, Start: header.Start(), Rows: 10_000}
				opt := engine.Options{Workers: 1, Explain: engine.ExplainAll, Check: check}
				begin := processorTime(b)
				if _, err := engine.Score(b.Context(), in, bundle, opt, new(collector)); err != nil {
					b.Fatal(err)
				}
				return processorTime(b) - begin
			}
			var without, with []time.Duration
			for b.Loop() {
				without, with = append(without, turn(false)), append(with, turn(true))
			}
			w, s := median(without), median(with)
			b.ReportMetric(float64(w.Microseconds())/1000, "without-ms")
			b.ReportMetric(float64(s.Microseconds())/1000, "with-ms")
			b.ReportMetric(float64(s)/float64(w), "ratio")
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// processorTime returns the CPU time of the process, which other load on the machine does not affect.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
