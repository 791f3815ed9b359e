package bench

import (
	"fmt"
	"slices"
	"strings"
)

var latencyHeadings = []string{"", "due/s", "requests", "failed", "P50 ms", "P95 ms", "P99 ms", "max ms", "rows/s"}

// cells are in the order of latencyHeadings.
func (l *latency) cells() []string {
	due, rows := "", ""
	if l.PerSecond > 0 {
		due = figure(l.PerSecond)
	}
	if l.RowsPerSecond > 0 {
		rows = figure(l.RowsPerSecond)
	}
	name := l.Name
	if l.Note != "" {
		name += ": " + l.Note
	}
	return []string{
		name, due, fmt.Sprint(l.Requests), fmt.Sprint(l.Failed),
		figure(l.P50), figure(l.P95), figure(l.P99), figure(l.Max), rows,
	}
}

func (p process) sentence() string {
	text := fmt.Sprintf("The service used %s CPU seconds", figure(p.CPUSeconds))
	if p.PeakMiB > 0 {
		text += fmt.Sprintf(" and at most %s MiB of memory", figure(p.PeakMiB))
	}
	return text + ", its PostgreSQL not counted."
}

// writeLatencies writes them for a terminal.
func (r *Report) writeLatencies(out *pageWriter) {
	if len(r.Latencies) == 0 {
		return
	}
	out.printf("%s\n", strings.Join(latencyHeadings, "\t"))
	for _, l := range r.Latencies {
		out.printf("%s\n", strings.Join(l.cells(), "\t"))
	}
	for _, p := range r.Processes {
		out.printf("%s\n", p.sentence())
	}
	out.printf("\n")
}

// writeLatencyRows writes them as Markdown.
func (r *Report) writeLatencyRows(out *pageWriter) {
	if len(r.Latencies) == 0 {
		return
	}
	out.printf("\n")
	out.row(latencyHeadings)
	out.row(slices.Repeat([]string{"---"}, len(latencyHeadings)))
	for _, l := range r.Latencies {
		out.row(l.cells())
	}
	for _, p := range r.Processes {
		out.printf("\n%s\n", p.sentence())
	}
}

// writeLatencyText writes them as lines of Go's benchmark format.
func (r *Report) writeLatencyText(out *pageWriter) {
	for _, l := range r.Latencies {
		name := strings.ReplaceAll(strings.TrimPrefix(l.Name, "/"), " ", "_")
		out.printf("Benchmark%s/%s\t%d\t%.0f ns/op\t", title(r.Suite), name, l.Requests, l.P50*1e6)
		out.printf("%.0f p95-ns/op\t%.0f p99-ns/op\n", l.P95*1e6, l.P99*1e6)
	}
}
