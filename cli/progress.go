package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
)

// progress prints the number of scored rows on a terminal, and a report at the end.
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

// report prints the result: on a terminal with all tables, otherwise in a few lines that name no customer.
func (p *progress) report(s *engine.Summary, took time.Duration) {
	if p.terminal {
		_, _ = fmt.Fprint(p.out, "\r")
	}
	_, _ = fmt.Fprintf(p.out, "%d rows: %d scored, %d rejected in %s (%.0f rows/s)\n",
		s.Rows, s.Scored, s.Rejected, took.Round(time.Millisecond), float64(s.Rows)/took.Seconds())
	_, _ = io.WriteString(p.out, reasonLines(s)+readingLines(s)+notUsedLine(s)+bandTable(s))
	if p.terminal {
		_, _ = io.WriteString(p.out, summaryTables(s))
	}
}

// reasonLines counts rejects and remarks by code and column.
func reasonLines(s *engine.Summary) string {
	var b strings.Builder
	for _, r := range s.Rejects {
		fmt.Fprintf(&b, "  rejected: %d with %s%s\n", r.Count, r.Code, inColumn(r.Column))
	}
	for _, r := range s.Remarks {
		fmt.Fprintf(&b, "  remark: %s (%s)\n", printable(r.Text), r.Code)
	}
	return b.String()
}

// readingLines say how the file was read, where that was not plain.
func readingLines(s *engine.Summary) string {
	text := ""
	if s.NumberStyle != "" {
		text += "  numbers read as " + s.NumberStyle + "\n"
	}
	if s.Skipped > 0 {
		text += fmt.Sprintf("  skipped: %d lines of nothing but delimiters\n", s.Skipped)
	}
	if len(s.Renamed) > 0 {
		text += "  columns renamed: " + printable(strings.Join(s.Renamed, ", ")) + "\n"
	}
	return text
}

// notUsedLine names the columns of the file that the model does not read.
func notUsedLine(s *engine.Summary) string {
	if len(s.NotUsed) == 0 {
		return ""
	}
	return "  columns not used: " + printable(strings.Join(s.NotUsed, ", ")) + "\n"
}

func inColumn(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" in column %q", name)
}
