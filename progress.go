package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/retainwise/millrace/engine"
)

// progress tells a person at a terminal how far scoring is, and everyone how it ended.
type progress struct {
	out      io.Writer
	terminal bool
	rows     int64
	shown    time.Time
}

const progressInterval = 200 * time.Millisecond

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *progress) add(rows int64) {
	p.rows += rows
	if p.terminal && time.Since(p.shown) >= progressInterval {
		p.shown = time.Now()
		_, _ = fmt.Fprintf(p.out, "\r%d rows", p.rows)
	}
}

// report prints the closing lines: rows, rejects by code and column, bands.
func (p *progress) report(t *engine.Tally, took time.Duration) {
	if p.terminal {
		_, _ = fmt.Fprint(p.out, "\r")
	}
	_, _ = fmt.Fprintf(p.out, "%d rows: %d scored, %d rejected in %s (%.0f rows/s)\n",
		t.Rows, t.Scored, t.Rejected, took.Round(time.Millisecond), float64(t.Rows)/took.Seconds())
	for _, r := range t.Rejects {
		_, _ = fmt.Fprintf(p.out, "  rejected: %d with %s%s\n", r.Count, r.Code, inColumn(r.Column))
	}
	for _, w := range t.Warnings {
		_, _ = fmt.Fprintf(p.out, "  remark: %d with %s%s\n", w.Count, w.Code, inColumn(w.Column))
	}
	for _, band := range t.Bands {
		_, _ = fmt.Fprintf(p.out, "  %-8s %8d customers, %.0f expected to leave\n", band.Name, band.Count, band.Expected)
	}
}

func inColumn(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" in column %q", name)
}
