// Plot draws a board from its own queries, answered by a Prometheus, as one HTML page of SVG plots: a look at a board
// without Grafana.
//
//	go run ./plot -prometheus http://127.0.0.1:9090 -for 10m grafana/2-pipeline.json > pipeline.html
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	prometheus := flag.String("prometheus", "http://127.0.0.1:9090", "where to ask")
	span := flag.Duration("for", time.Hour, "how far back")
	flag.Parse()
	if err := plot(os.Stdout, *prometheus, *span, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

type target struct{ Expr, LegendFormat string }

type panel struct {
	Title   string
	GridPos struct{ W int }
	Targets []target
}

type board struct {
	Title  string
	Panels []panel
}

type line struct {
	name   string
	points [][2]float64 // seconds, value
}

const page = `<!doctype html><meta charset=utf-8><style>body{font:12px sans-serif;margin:8px;background:#fff;width:1184px}
.p{display:inline-block;vertical-align:top;box-sizing:border-box;padding:4px}h1{font-size:16px;margin:4px}
h2{font-size:12px;margin:2px 0}svg{background:#f7f7f7;width:100%}</style>`

func plot(w io.Writer, prometheus string, span time.Duration, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var b board
	if err := json.Unmarshal(text, &b); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	end := time.Now()
	fmt.Fprintf(w, "%s<h1>%s</h1>\n", page, html.EscapeString(b.Title))
	for _, p := range b.Panels {
		var lines []line
		for _, t := range p.Targets {
			found, err := query(prometheus, t, end.Add(-span), end)
			if err != nil {
				return fmt.Errorf("%s: %w", p.Title, err)
			}
			lines = append(lines, found...)
		}
		fmt.Fprintf(w, "<div class=p style='width:%.2f%%'><h2>%s</h2>%s</div>",
			float64(p.GridPos.W)/24*100-0.1, html.EscapeString(p.Title), draw(lines, p.GridPos.W*48, end, span))
	}
	return nil
}

const steps = 200 // points of a line

// query asks for one query's lines.
func query(prometheus string, t target, from, to time.Time) ([]line, error) {
	resp, err := http.Get(prometheus + "/api/v1/query_range?" + url.Values{
		"query": {t.Expr}, "start": {seconds(from)}, "end": {seconds(to)},
		"step": {fmt.Sprintf("%g", to.Sub(from).Seconds()/steps)},
	}.Encode())
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", t.Expr, answer.Error)
	}
	var lines []line
	for _, r := range answer.Data.Result {
		l := line{name: legend(t.LegendFormat, r.Metric)}
		for _, v := range r.Values {
			at, _ := v[0].(float64)
			text, _ := v[1].(string)
			if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) {
				l.points = append(l.points, [2]float64{at, value})
			}
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

var label = regexp.MustCompile(`{{(\w+)}}`)

func legend(format string, metric map[string]string) string {
	return label.ReplaceAllStringFunc(format, func(name string) string { return metric[strings.Trim(name, "{}")] })
}

var colors = []string{"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#e377c2", "#7f7f7f", "#bcbd22"}

const (
	height    = 190
	plotTop   = 6
	plotFloor = 120
	plotLeft  = 46
)

// draw makes one plot; the last value of each line stands in its legend.
func draw(lines []line, width int, end time.Time, span time.Duration) string {
	low, top := 0.0, 0.0
	for _, l := range lines {
		for _, p := range l.points {
			low, top = min(low, p[1]), max(top, p[1])
		}
	}
	if low == top {
		top = 1
	}
	var s strings.Builder
	fmt.Fprintf(&s, "<svg viewBox='0 0 %d %d'>", width, height)
	for _, share := range []float64{0, 0.5, 1} {
		y := plotFloor - share*(plotFloor-plotTop)
		fmt.Fprintf(&s, "<line x1=%d x2=%d y1=%.1f y2=%.1f stroke=#ddd /><text x=0 y=%.1f font-size=10>%s</text>",
			plotLeft, width, y, y, y+4, short(low+share*(top-low)))
	}
	begin := float64(end.Add(-span).Unix())
	for i, l := range lines {
		color := colors[i%len(colors)]
		s.WriteString("<polyline fill=none stroke-width=1.3 stroke='" + color + "' points='")
		for _, p := range l.points {
			fmt.Fprintf(&s, "%.1f,%.1f ", plotLeft+(p[0]-begin)/span.Seconds()*float64(width-plotLeft),
				plotFloor-(p[1]-low)/(top-low)*(plotFloor-plotTop))
		}
		s.WriteString("'/>")
	}
	column := max(1, width/190)
	for i, l := range lines[:min(len(lines), 5*column)] {
		last := "–"
		if n := len(l.points); n > 0 {
			last = short(l.points[n-1][1])
		}
		fmt.Fprintf(&s, "<text x=%d y=%d font-size=10 fill='%s'>%s: %s</text>", 4+i%column*190, 136+i/column*12,
			colors[i%len(colors)], html.EscapeString(l.name), last)
	}
	return s.String() + "</svg>"
}

// short writes a number with three digits and a letter for its size.
func short(v float64) string {
	for _, unit := range []struct {
		of   float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= unit.of {
			return fmt.Sprintf("%.3g%s", v/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}
