package cli

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/retainwise/millrace/engine"
)

// progress shows on a terminal how far a score is, in one line, and prints a report at the end.
type progress struct {
	out      io.Writer
	terminal bool
	hidden   bool         // no line, as the result is shown on the same terminal
	input    *countedFile // nil: the size of the input is unknown
	rows     int64
	begin    time.Time
	shown    time.Time
}

const progressInterval = 200 * time.Millisecond

// countedFile counts the bytes that are read from a file. One goroutine reads, others may ask.
type countedFile struct {
	io.Reader
	size int64 // bytes of the file
	read atomic.Int64
}

func (c *countedFile) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// countFile returns a counter of a regular file; nil if the size is unknown, as that of a pipe is.
func countFile(file *os.File) *countedFile {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	return &countedFile{Reader: file, size: info.Size()}
}

func isTerminal(w io.Writer) bool {
	if direct, ok := w.(printer); ok {
		w = direct.Writer
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// eraseLine moves to the beginning of a terminal's line and erases it.
const eraseLine = "\r\x1b[K"

func (p *progress) add(rows int64) {
	p.rows += rows
	if now := time.Now(); p.terminal && !p.hidden && now.Sub(p.shown) >= progressInterval {
		p.shown = now
		_, _ = fmt.Fprint(p.out, eraseLine+p.line(now.Sub(p.begin)))
	}
}

// line returns percent, rows, rows per second and the time left, the first and last only of a file.
func (p *progress) line(took time.Duration) string {
	text := fmt.Sprintf("%s rows", count(p.rows))
	if seconds := took.Seconds(); seconds > 0 {
		text += fmt.Sprintf("  %s rows/s", grouped(float64(p.rows)/seconds))
	}
	if p.input == nil {
		return text
	}
	done := min(1, float64(p.input.read.Load())/float64(p.input.size))
	text = fmt.Sprintf("%3.0f %%  %s", 100*done, text)
	if left := time.Duration(float64(took) * (1 - done) / max(done, 1e-9)); left >= time.Second && left < 1000*time.Hour {
		text += "  " + left.Round(time.Second).String() + " left"
	}
	return text
}

// report prints the result, beginning with what is wrong: on a terminal with all tables, otherwise without those that name
// customers.
func (p *progress) report(s *engine.Summary, outcomes *engine.OutcomeReport, took time.Duration) {
	if p.terminal {
		_, _ = fmt.Fprint(p.out, eraseLine)
	}
	_, _ = io.WriteString(p.out, problemLines(s))
	_, _ = fmt.Fprintf(p.out, "%d rows: %d scored, %d rejected in %s (%.0f rows/s)\n",
		s.Rows, s.Scored, s.Rejected, took.Round(time.Millisecond), float64(s.Rows)/took.Seconds())
	_, _ = io.WriteString(p.out, remarkLines(s)+readingLines(s)+notUsedLine(s)+BandTable(s)+outcomeTables(outcomes))
	if p.terminal {
		_, _ = io.WriteString(p.out, SummaryTables(s))
	}
}
