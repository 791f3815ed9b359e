package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/retainwise/millrace/engine"
)

// Maximum entries of tables on a terminal; --summary has all.
const (
	tableTop     = 5
	tableDrivers = 5
)

// table is rows of cells; the first column is left-aligned, the others right-aligned. The first is shortened where a line
// would not fit a terminal.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

const firstColumnMin = 8 // characters

// leftAligned returns the table with the last column left-aligned and wrapped to the width of a terminal.
func (t table) leftAligned() string {
	width := 0
	for _, line := range t {
		width = max(width, utf8.RuneCountInString(line[0]))
	}
	var b strings.Builder
	indent := strings.Repeat(" ", width+4)
	for _, line := range t {
		text := []rune(wrapped(indent, line[1]))
		b.WriteString(fmt.Sprintf("  %-*s  ", width, line[0]) + string(text[width+4:]))
	}
	return b.String()
}

func (t table) String() string {
	var widths []int
	for _, line := range t {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	total := 0
	for _, w := range widths {
		total += 2 + w
	}
	if total > lineWidth {
		widths[0] = max(firstColumnMin, widths[0]-(total-lineWidth))
	}
	var b strings.Builder
	for _, line := range t {
		text := " "
		for i, cell := range line {
			cell = shortened(cell, widths[i])
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				text += " " + cell + padding
			} else {
				text += "  " + padding + cell
			}
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return b.String()
}

// BandTable returns a table with a row for each risk band.
func BandTable(s *engine.Summary) string {
	t := table{{"risk", "customers", "expected to leave"}}
	if s.Value != nil {
		t[0] = append(t[0], shortened(printable(s.Value.Column), 16), "expected loss")
	}
	line := func(name string, count int64, expected float64, value, loss *float64) {
		cells := []string{name, grouped(float64(count)), grouped(expected)}
		if value != nil && loss != nil {
			cells = append(cells, grouped(*value), grouped(*loss))
		}
		t.add(cells...)
	}
	for _, b := range s.Bands {
		line(b.Name, b.Count, b.Expected, b.Value, b.Loss)
	}
	if s.Value != nil {
		line("all", s.Scored, s.Expected, &s.Value.Total, &s.Value.Loss)
	} else {
		line("all", s.Scored, s.Expected, nil, nil)
	}
	return t.String()
}

// SummaryTables returns further tables of a summary. They name customers, so they are printed on terminals only.
func SummaryTables(s *engine.Summary) string {
	return fmt.Sprintf("\nExpected to leave: %s, give or take %s.\n", grouped(s.Expected), grouped(s.Spread)) +
		section("Most likely to leave", topTable(s.Top.ByProbability)) +
		section("Largest expected loss", topTable(s.Top.ByLoss)) +
		section("What moves the scores", driverTable(s.Drivers)) +
		section("Worth contacting", reachTable(s)) +
		changeTables(s.Changes) +
		section("Data unlike the training's", driftTable(s))
}

// section returns a table with a title; empty if it has no row below its head.
func section(title string, t table) string {
	if len(t) < 2 {
		return ""
	}
	return "\n" + title + "\n" + t.String()
}

func topTable(rows []engine.TopRow) table {
	t := table{{"customer", "row", "probability", "expected loss"}}
	for _, r := range rows[:min(len(rows), tableTop)] {
		loss := ""
		if r.Loss != nil {
			loss = grouped(*r.Loss)
		}
		t.add(printable(r.ID), strconv.FormatInt(r.Row, 10), percent(float64(r.Probability)), loss)
	}
	return t
}

func driverTable(drivers []engine.Driver) table {
	t := table{{"factor", "share"}}
	for _, d := range drivers[:min(len(drivers), tableDrivers)] {
		t.add(d.Label, percent(d.Share))
	}
	return t
}

// reachTable returns how many contacts cover a quarter, half and three quarters of the expected loss.
func reachTable(s *engine.Summary) table {
	t := table{{"customers contacted", "of those who leave", "of the expected loss"}}
	points, share := s.Coverage.ByProbability, func(p engine.CoveragePoint) float64 { return p.ExpectedShare }
	if len(s.Coverage.ByLoss) > 0 {
		points, share = s.Coverage.ByLoss, func(p engine.CoveragePoint) float64 { return *p.LossShare }
	}
	wanted := 0.25
	for _, p := range points {
		if share(p) < wanted {
			continue
		}
		loss := ""
		if p.LossShare != nil {
			loss = percent(*p.LossShare)
		}
		t.add(grouped(float64(p.Contacted)), percent(p.ExpectedShare), loss)
		if wanted += 0.25; wanted >= 1 {
			break
		}
	}
	return t
}

// driftTable lists shifts that are not small, and columns with one value only.
func driftTable(s *engine.Summary) table {
	t := table{{"column", "", ""}}
	if s.Drift != nil {
		if d := s.Drift.Score; d != nil && d.Change != "none" {
			t.add("probability", d.Change+" drift", fmt.Sprintf("PSI %.2f", d.PSI))
		}
		for _, d := range s.Drift.Features {
			if d.Change != "none" {
				t.add(printable(d.Column), d.Change+" drift", fmt.Sprintf("PSI %.2f", d.PSI))
			}
		}
	}
	for _, c := range s.Quality.Columns {
		if c.Constant {
			t.add(printable(c.Column), "one value only", "")
		}
	}
	return t
}

// grouped formats a number rounded to an integer, with thousands separators.
func grouped(x float64) string {
	text := strconv.FormatFloat(math.Round(x), 'f', -1, 64)
	digits := strings.TrimPrefix(text, "-")
	sign := text[:len(text)-len(digits)]
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

// printable replaces characters of a customer's text that could control a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '·'
		}
		return r
	}, text)
}
