package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve/codes"
)

// unseenCode is the remark on a value that the model does not know.
const unseenCode = "ERR-1653"

// problemLines says what is wrong with a file: columns that were not understood, and rejects. It is empty if nothing is.
func problemLines(s *engine.Summary) string {
	var b strings.Builder
	for _, w := range s.Warnings {
		if w.Code == unseenCode && 2*w.Count >= s.Scored {
			b.WriteString(wrapped("", fmt.Sprintf("Not understood: column %q. The model does not know the value of %s of the rows.",
				columnName(w.Column), shareText(w.Count, s.Scored))))
		}
	}
	if s.Rejected > 0 {
		fmt.Fprintf(&b, "Rejected: %s of %s rows (%s)\n", count(s.Rejected), count(s.Rows), shareText(s.Rejected, s.Rows))
		b.WriteString(reasonLines(s.Rejects, s.Rows))
	}
	return b.String()
}

// remarkLines returns the remarks on rows that can be scored, with the advice of each code once; empty if there are none.
func remarkLines(s *engine.Summary) string {
	if len(s.Remarks) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("Remarks on rows that can be scored\n")
	advised := map[string]bool{}
	for _, r := range s.Remarks {
		text := r.Code + " " + printable(r.Text)
		if page, ok := codes.PageOf(r.Code); ok && !advised[r.Code] {
			text += " " + page.Advice
		}
		advised[r.Code] = true
		b.WriteString(wrapped("  ", text))
	}
	return b.String()
}

// reasonLines returns the words of each code and below them its columns, with counts and shares of the rows.
func reasonLines(reasons []engine.ReasonCount, rows int64) string {
	total, columns := map[string]int64{}, map[string][]engine.ReasonCount{}
	var order []string
	for _, r := range reasons {
		if total[r.Code] == 0 {
			order = append(order, r.Code)
		}
		total[r.Code] += r.Count
		columns[r.Code] = append(columns[r.Code], r)
	}
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(total[b], total[a]) })
	var b strings.Builder
	for _, code := range order {
		page, _ := codes.PageOf(code)
		b.WriteString(wrapped("  ", code+" "+page.Message+" "+page.Advice))
		list := columns[code]
		slices.SortStableFunc(list, func(a, b engine.ReasonCount) int { return cmp.Compare(b.Count, a.Count) })
		for _, r := range list {
			line := fmt.Sprintf("  %10s  %7s  %s", count(r.Count), shareText(r.Count, rows), columnName(r.Column))
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	return b.String()
}

// columnNameMax is the longest name of a column in a report, so that tables fit a terminal.
const columnNameMax = 30

func columnName(name string) string { return shortened(printable(name), columnNameMax) }

func shareText(part, whole int64) string { return percent(float64(part) / float64(max(whole, 1))) }

// readingLines describe how the file was read, where that was not plain.
func readingLines(s *engine.Summary) string {
	text := ""
	if s.NumberStyle != "" {
		text += wrapped("", "Numbers read as "+s.NumberStyle)
	}
	if s.Skipped > 0 {
		text += fmt.Sprintf("Skipped: %s lines of nothing but delimiters\n", count(s.Skipped))
	}
	if len(s.Renamed) > 0 {
		text += wrapped("", "Columns renamed: "+printable(strings.Join(s.Renamed, ", ")))
	}
	return text
}

// notUsedLine names the columns of the file that the model does not read.
func notUsedLine(s *engine.Summary) string {
	if len(s.NotUsed) == 0 {
		return ""
	}
	return wrapped("  ", "columns not used: "+printable(strings.Join(s.NotUsed, ", ")))
}
