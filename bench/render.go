package bench

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for a person at a terminal.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	out := &pageWriter{w: table}
	out.printf("%s\n%s\n%s\n\n", r.Command, r.Machine.sentence(), r.Note)
	for _, c := range r.Comparisons {
		out.printf("%s: %s\n\t%s\n", c.Name, c.remark(), strings.Join(c.headings(), "\t"))
		for _, m := range c.Measurements {
			out.printf("\t%s\n", strings.Join(c.cells(&m), "\t"))
		}
		out.printf("\n")
	}
	r.writeLatencies(out)
	for _, g := range r.Indexes {
		out.printf("%s\t%s ms\twithout: %s ms\t%s\n", g.Index, figure(g.P50), figure(g.WithoutP50), g.WithoutPlan)
	}
	for _, g := range r.Goals {
		out.printf("%s\n", strings.Join(g.cells(), "\t"))
	}
	return errors.Join(out.err, table.Flush())
}

// WriteMarkdown writes the tables of docs/benchmarks.md.
func (r *Report) WriteMarkdown(w io.Writer) error {
	out := &pageWriter{w: w}
	out.printf("\n### %s\n\n", r.Suite)
	out.printf("`%s`\n\n%s\n", r.Command, r.Machine.sentence())
	if r.Note != "" {
		out.printf("\n%s\n", r.Note)
	}
	if len(r.Goals) > 0 {
		out.printf("\n")
		out.row([]string{"goal", "wanted", "measured", ""})
		out.row(slices.Repeat([]string{"---"}, 4))
		for _, g := range r.Goals {
			out.row(g.cells())
		}
	}
	for _, c := range r.Comparisons {
		out.printf("\n**%s**: %s\n\n", c.Name, c.remark())
		out.row(c.headings())
		out.row(slices.Repeat([]string{"---"}, len(c.headings())))
		for _, m := range c.Measurements {
			out.row(c.cells(&m))
		}
	}
	r.writeLatencyRows(out)
	r.writeStatementRows(out)
	r.writeIndexRows(out)
	return out.err
}

// WriteText writes every round as a line of Go's benchmark format, for benchstat.
func (r *Report) WriteText(w io.Writer) error {
	out := &pageWriter{w: w}
	out.printf("goos: %s\ngoarch: %s\n", runtime.GOOS, runtime.GOARCH)
	out.printf("pkg: millrace/%s\ncpu: %s\n", r.Suite, r.Machine.CPU)
	for _, c := range r.Comparisons {
		for _, m := range c.Measurements {
			for _, nanos := range m.Rounds {
				out.printf("Benchmark%s/%s/%s\t%d\t%.1f ns/op\t", title(r.Suite), c.Name, m.Name, m.OpsPerRound, nanos)
				out.printf("%.0f rows/s\t%.0f allocs/op\n", float64(m.RowsPerOp)/nanos*1e9, m.AllocsPerOp)
			}
		}
	}
	r.writeLatencyText(out)
	return out.err
}

// title begins a benchmark's name as the format wants it.
func title(suite string) string { return strings.ToUpper(suite[:1]) + suite[1:] }

// pageWriter keeps the first error.
type pageWriter struct {
	w   io.Writer
	err error
}

func (p *pageWriter) printf(format string, values ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, values...)
	}
}

func (p *pageWriter) row(cells []string) { p.printf("| %s |\n", strings.Join(cells, " | ")) }

func (m machine) sentence() string {
	s := fmt.Sprintf("%s; %d cores; %s; %s; kernels %s; ingest %s", m.CPU, m.Cores, m.System, m.Go,
		strings.Join(m.Kernels, ", "), m.Ingest)
	if m.LoadAverage != "" {
		s += "; load average at the start " + m.LoadAverage
	}
	return s
}

func (c *Comparison) remark() string { return fmt.Sprintf("%s (%s time)", c.Note, c.Clock) }

// headings are those of the columns that [Comparison.cells] fills.
func (c *Comparison) headings() []string {
	h := []string{"", "ns/row", "min", "rows/s", "allocs/row", "times the baseline's speed", "of the minima"}
	if c.Trees > 0 {
		h = append(h, "ns/row/tree", "min")
	}
	if c.BytesPerOp > 0 {
		h = append(h, "MB/s")
	}
	return h
}

func (c *Comparison) cells(m *Measurement) []string {
	rows := float64(m.RowsPerOp)
	cells := []string{
		m.Name, figure(m.NsPerOp / rows), figure(m.NsPerOpMin / rows), figure(m.RowsPerSecond),
		fmt.Sprintf("%.2f", m.AllocsPerOp/rows), figure(m.Ratio), figure(m.RatioOfMinima),
	}
	if c.Trees > 0 {
		cells = append(cells, figure(m.NsPerRowTree), figure(m.NsPerRowTreeMin))
	}
	if c.BytesPerOp > 0 {
		cells = append(cells, figure(m.MBPerSecond))
	}
	return cells
}

func (g goal) cells() []string {
	sign, verdict := "≥", "met"
	if g.AtMost {
		sign = "≤"
	}
	if !g.Met {
		verdict = "**missed**"
	}
	wanted := fmt.Sprintf("%s %s %s", sign, figure(g.Want), g.Unit)
	return []string{g.Name, wanted, figure(g.Value) + " " + g.Unit, verdict}
}

// figure writes three significant digits, more only in front of the point.
func figure(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x >= 100:
		return thousands(fmt.Sprintf("%.0f", x))
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// thousands puts commas into a whole number.
func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
