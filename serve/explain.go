package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/store"
)

// plain gives the errors without anything to tell beside their code.
var plain = [...]struct {
	err  error
	code Code
}{
	{ingest.ErrEmpty, CodeEmptyFile},
	{ingest.ErrHeaderUnreadable, CodeUnreadableHeader},
	{ingest.ErrNotText, CodeNotText},
	{ingest.ErrTooManyColumns, CodeTooManyColumns},
	{ingest.ErrUnpackedTooLarge, CodeUnpackedTooLarge},
	{ingest.ErrDamagedArchive, CodeDamagedArchive},
	{engine.ErrAmbiguousHeader, CodeModelNotChosen},
	{engine.ErrModelUnsupported, CodeModelUnsupported},
	{engine.ErrModelColumns, CodeModelColumns},
	{engine.ErrModelLimits, CodeModelBeyondLimits},
	{engine.ErrGolden, CodeModelSelfCheck},
	{engine.ErrManifest, CodeModelChecksum},
	{store.ErrNotFound, CodePredictionNotFound},
	{store.ErrConflict, CodeWrongState},
	{store.ErrAccounting, CodeAccountingBroken},
	{store.ErrObjectChanged, CodeObjectChanged},
	{context.DeadlineExceeded, CodeBusy},
	{context.Canceled, CodeShuttingDown},
}

// explain puts any error into a customer's words. What it does not know is an internal error, whose text stays inside.
func explain(err error) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	if store.StorageFull(err) {
		return fail(CodeStorageFull, "").because(err)
	}
	if f := explainFile(err); f != nil {
		return f.because(err)
	}
	for _, p := range plain {
		if errors.Is(err, p.err) {
			return fail(p.code, "").because(err)
		}
	}
	return fail(CodeInternal, "").because(err)
}

// CodeOf is the published code of any error.
func CodeOf(err error) Code { return explain(err).code }

// explainAs is explain with another code for what is not known: that of the part which the error came from. What the
// program did wrong stays an internal error.
func explainAs(code Code, err error) *failure {
	f := explain(err)
	if f.code == CodeInternal && store.FaultOf(err) != store.FaultOurs {
		f.code = code
	}
	return f
}

// objectFailure explains an error of the object store. An object that we recorded and cannot find is our fault, not the
// customer's.
func objectFailure(err error) *failure {
	if errors.Is(err, store.ErrNotFound) {
		return fail(CodeObjectStore, "").because(err)
	}
	return explainAs(CodeObjectStore, err)
}

// readFailure explains why an object that we recorded cannot be read. What the store refuses or does not have may be the
// first of all that it will refuse, so it is asked for its mark.
func (s *server) readFailure(ctx context.Context, err error) *failure {
	gone := errors.Is(err, store.ErrNotFound)
	isRefused := store.FaultOf(err) == store.FaultRefused
	if !gone && !isRefused {
		return objectFailure(err)
	}
	if away := store.Reach(ctx, s.Objects); away != nil {
		return fail(CodeObjectStore, "").because(errors.Join(err, away))
	}
	if isRefused {
		return refused(err)
	}
	s.Metrics.Gone(goneResult)
	return fail(CodeGone, "").because(err)
}

// refused is the failure of one object that the store refuses while it gives others.
func refused(err error) *failure {
	f := fail(CodeObjectRefused, "").because(err)
	if why := store.Refusal(err); why != "" {
		f.message = "The file storage refuses this file: " + why + "."
	}
	return f
}

// explainFile knows what can be said about a file's content.
func explainFile(err error) *failure {
	var (
		missing   *ingest.MissingColumnsError
		duplicate *ingest.DuplicateColumnError
		quote     *ingest.QuoteError
		long      *ingest.RowTooLongError
		large     *ingest.TooLargeError
		budget    *engine.BudgetError
		format    *ingest.FormatError
		foreign   *ingest.ForeignError
	)
	switch {
	case errors.As(err, &missing):
		return explainMissing(missing)
	case errors.As(err, &duplicate):
		first, second := duplicate.Fields[0]+1, duplicate.Fields[1]+1
		return fail(CodeUnreadableHeader, fmt.Sprintf(
			"The column '%s' is in your file twice, as columns %d and %d. Remove or rename one of them.",
			duplicate.Name, first, second)).with(details{"column": duplicate.Name, "columns": []int{first, second}})
	case errors.As(err, &quote):
		return explainQuote(quote)
	case errors.As(err, &long):
		return fail(CodeRowTooLong, fmt.Sprintf(
			"The row that starts on line %d is longer than %s. A missing closing quotation mark is the usual cause.",
			long.Line, sizeText(int64(long.Limit)))).
			with(details{"line": long.Line, "limit": long.Limit, "unit": "bytes"})
	case errors.As(err, &large):
		return tooLarge(large.Limit, large.Unit)
	case errors.As(err, &budget):
		return explainBudget(budget)
	case errors.As(err, &format):
		return explainFormat(format)
	case errors.As(err, &foreign):
		return fail(CodeNotText, "This is "+foreign.Kind+", not CSV, whatever its name says. "+
			"Save it as CSV (in UTF-8) and send that.").with(details{"actual": foreign.Kind, "expected": "CSV"})
	}
	return nil
}

func explainMissing(e *ingest.MissingColumnsError) *failure {
	var names, closest []string
	var columns []details
	for _, c := range e.Columns {
		names = append(names, "'"+c.Name+"'")
		column := details{"column": c.Name}
		if c.Closest != "" {
			near := shown(c.Closest)
			closest = append(closest, "'"+near+"'")
			column["suggestion"] = near
		}
		columns = append(columns, column)
	}
	text := "Missing required " + plural(len(names), "column", "columns") + " " + listText(names) + "."
	if len(closest) == 0 {
		text += " Please ensure your CSV contains " + plural(len(names), "this column", "these columns") + "."
	} else {
		text += " Closest " + plural(len(closest), "column", "columns") + " in your file: " + listText(closest) + "."
	}
	return fail(CodeMissingColumns, text).with(details{"columns": columns})
}

func explainQuote(e *ingest.QuoteError) *failure {
	text := "There is a stray quotation mark on line %d. A cell that contains quotation marks must be quoted, " +
		"and each quotation mark inside it doubled."
	if e.Unclosed {
		text = "The quotation mark opened on line %d is not closed. Close it, or double it if it belongs to the text."
	}
	return fail(CodeBadQuoting, fmt.Sprintf(text, e.Line)).with(details{"line": e.Line})
}

func explainBudget(e *engine.BudgetError) *failure {
	return fail(CodeErrorBudgetSpent, fmt.Sprintf("%s of the first %s rows were rejected, more than the %s allowed.",
		groupedText(e.Rejected), groupedText(e.Rows), e.Limit())).
		with(details{"limit": e.Limit(), "actual": e.Rejected, "unit": "rows"})
}

func explainFormat(e *ingest.FormatError) *failure {
	d := details{}
	text := "The body cannot be read as " + e.Format + ": " + e.Problem + "."
	if e.Row > 0 {
		text = fmt.Sprintf("Row %d of the body cannot be read as %s: %s.", e.Row, e.Format, e.Problem)
		d["row"] = e.Row
	}
	if e.Column != "" {
		d["column"] = shown(e.Column)
		text += " It is about '" + shown(e.Column) + "'."
	}
	return fail(CodeUnparseableBody, text).with(d)
}

// tooLarge says which limit a file passed; unit is "bytes" or "rows".
func tooLarge(limit int64, unit string) *failure {
	excess := "has more than " + groupedText(limit) + " rows"
	if unit == "bytes" {
		excess = "is larger than " + sizeText(limit)
	}
	return fail(CodeTooLarge, "The file "+excess+", the most that one upload may have. "+
		"Split it into smaller files.").with(details{"limit": limit, "unit": unit})
}

// sizeText writes a number of bytes as people do: "50 MB".
func sizeText(bytes int64) string {
	switch {
	case bytes >= 1<<20 && bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MB", bytes>>20)
	case bytes >= 1<<10 && bytes%(1<<10) == 0:
		return fmt.Sprintf("%d KB", bytes>>10)
	}
	return groupedText(bytes) + " bytes"
}

// groupedText writes 100000 as "100,000".
func groupedText(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// listText joins as people do: "a, b and c".
func listText(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " and " + items[last]
}

const shownRunesMax = 80

// shown makes a customer's own text fit to be repeated to them: one line, not long, nothing that turns the line around.
func shown(text string) string {
	var b strings.Builder
	runes := 0
	for _, r := range text {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if runes++; runes > shownRunesMax {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
