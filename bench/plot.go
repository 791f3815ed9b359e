package bench

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Sizes of a plot in pixels.
const (
	plotWidth  = 760
	plotLeft   = 210 // of the bars; names end there
	plotRight  = 600 // figures begin there
	lineHeight = 20
	barHeight  = 12
)

const plotLeast = 1e-6 // that a logarithm can show

// plotted are the comparisons that are drawn, by suite: those that the goals speak of.
func plotted(suite string) []string {
	return map[string][]string{
		"engine":  {"realistic/1", "realistic/16384", "alike/16384", "telecom"},
		"explain": {"contributions/8192", "contributions/telecom", "contributions/saas"},
		"ingest":  {"unquoted", "quoted"},
		"copy":    {"rows", "client"},
	}[suite]
}

// notOurs are the ways that others wrote, or that nobody can beat.
func notOurs() []string {
	return []string{
		"leaves", "exact-float64", "memcpy", "encoding/csv", "encoding/csv+types", "arrow", "server-side",
		"CopyFromSource",
	}
}

// Plot is a picture of a report: a bar for each way to do the same work, or from P50 to P99 for latencies. All
// lengths are logarithmic, because what is compared differs by orders of magnitude.
type Plot struct {
	title string
	lines []plotLine
}

// plotLine is a heading, if it has no values, or a bar.
type plotLine struct {
	name, figure string
	values       []float64 // one: from the left to there; several: from the first to the last, all of them marked
	ours         bool
}

// Plot draws the report; it is nil if there is nothing to draw.
func (r *Report) Plot() *Plot {
	p := &Plot{title: "nanoseconds per row, logarithmic: shorter is faster"}
	for _, name := range plotted(r.Suite) {
		if i := slices.IndexFunc(r.Comparisons, func(c Comparison) bool { return c.Name == name }); i >= 0 {
			p.addComparison(&r.Comparisons[i])
		}
	}
	if len(r.Latencies) > 0 && len(p.lines) == 0 {
		p.title = "milliseconds, logarithmic: P50, P95 and P99"
		for _, l := range r.Latencies {
			p.addLatency(l)
		}
	}
	if len(p.lines) == 0 {
		return nil
	}
	return p
}

func (p *Plot) addComparison(c *Comparison) {
	p.lines = append(p.lines, plotLine{name: c.Name})
	for i, m := range c.Measurements {
		if strings.HasPrefix(m.Name, "binning/") { // a part of the work
			continue
		}
		perRow := max(m.NsPerOp/float64(m.RowsPerOp), plotLeast)
		line := plotLine{name: m.Name, figure: figure(perRow) + " ns", values: []float64{perRow}}
		line.ours = !slices.Contains(notOurs(), m.Name)
		if i > 0 {
			line.figure += ", " + figure(m.Ratio) + "x as fast"
		}
		p.lines = append(p.lines, line)
	}
}

func (p *Plot) addLatency(l Latency) {
	p.lines = append(p.lines, plotLine{
		name: l.Name, figure: fmt.Sprintf("%s, %s, %s ms", figure(l.P50), figure(l.P95), figure(l.P99)),
		values: []float64{max(l.P50, plotLeast), max(l.P95, plotLeast), max(l.P99, plotLeast)}, ours: true,
	})
}

// plotStyle follows the reader's light or dark mode.
const plotStyle = `<style>text{font:12px sans-serif;fill:#1f2328}.h{font-weight:bold}.n{text-anchor:end}` +
	`.a{stroke:#8c959f;stroke-opacity:.35}.o{fill:#2f81f7}.b{fill:#8c959f}.m{stroke:#bc4c00;stroke-width:2}` +
	`@media(prefers-color-scheme:dark){text{fill:#d1d7e0}.m{stroke:#f0883e}}</style>`

// WriteSVG writes the plot as a picture without scripts, on no background.
func (p *Plot) WriteSVG(w io.Writer) error {
	height := lineHeight * (len(p.lines) + 2)
	out := &pageWriter{w: w}
	out.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img">`,
		plotWidth, height)
	out.printf("\n%s\n", plotStyle)
	out.printf("<title>%s</title>\n<text x=\"%d\" y=\"14\">%s</text>\n", escaped(p.title), plotLeft, escaped(p.title))
	a := p.axis()
	for decade := a.low; decade <= a.high; decade++ {
		x := a.place(math.Pow(10, float64(decade)))
		out.printf("<line class=\"a\" x1=\"%.1f\" x2=\"%.1f\" y1=\"20\" y2=\"%d\"/>\n", x, x, height-lineHeight)
		out.printf("<text x=\"%.1f\" y=\"%d\">%s</text>\n", x, height-6, power(decade))
	}
	for i, l := range p.lines {
		a.writeLine(out, l, lineHeight*(i+1))
	}
	out.printf("</svg>\n")
	return out.err
}

// axis goes from one power of ten to another.
type axis struct{ low, high int }

func (p *Plot) axis() axis {
	least, most := math.Inf(1), math.Inf(-1)
	for _, l := range p.lines {
		for _, v := range l.values {
			least, most = min(least, v), max(most, v)
		}
	}
	low := int(math.Floor(math.Log10(least)))
	return axis{low, max(int(math.Ceil(math.Log10(most))), low+1)}
}

func (a axis) place(value float64) float64 {
	share := (math.Log10(value) - float64(a.low)) / float64(a.high-a.low)
	return plotLeft + share*(plotRight-plotLeft)
}

func (a axis) writeLine(out *pageWriter, l plotLine, top int) {
	if len(l.values) == 0 {
		out.printf("<text class=\"h\" x=\"0\" y=\"%d\">%s</text>\n", top+14, escaped(l.name))
		return
	}
	from, to := float64(plotLeft), a.place(l.values[len(l.values)-1])
	if len(l.values) > 1 {
		from = a.place(l.values[0])
	}
	class := "b"
	if l.ours {
		class = "o"
	}
	out.printf("<text class=\"n\" x=\"%d\" y=\"%d\">%s</text>\n", plotLeft-8, top+14, escaped(l.name))
	out.printf("<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n",
		class, from, top+4, max(to-from, 1), barHeight)
	for _, v := range l.values[:len(l.values)-1] {
		x := a.place(v)
		out.printf("<line class=\"m\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", x, x, top+2, top+barHeight+6)
	}
	out.printf("<text x=\"%d\" y=\"%d\">%s</text>\n", plotRight+8, top+14, escaped(l.figure))
}

func power(decade int) string {
	if decade < 0 {
		return fmt.Sprintf("%.*f", -decade, math.Pow(10, float64(decade)))
	}
	return thousands(fmt.Sprintf("%.0f", math.Pow(10, float64(decade))))
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}
