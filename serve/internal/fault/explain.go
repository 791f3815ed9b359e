package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// codesOfFiles maps errors without details to their code.
var codesOfFiles = [...]struct {
	err  error
	code Code
}{
	{ingest.ErrEmpty, CodeEmptyFile},
	{ingest.ErrHeaderUnreadable, CodeUnreadableHeader},
	{ingest.ErrNotText, CodeNotText},
	{ingest.ErrNotCSV, CodeInvalidFormat},
	{ingest.ErrTooManyColumns, CodeTooManyColumns},
	{ingest.ErrUnpackedTooLarge, CodeUnpackedTooLarge},
	{ingest.ErrDamagedArchive, CodeDamagedArchive},
	{engine.ErrAmbiguousHeader, CodeModelNotChosen},
	{engine.ErrModelUnsupported, CodeModelUnsupported},
	{engine.ErrModelColumns, CodeModelColumns},
	{engine.ErrModelLimits, CodeModelBeyondLimits},
	{engine.ErrGolden, CodeModelSelfCheck},
	{engine.ErrManifest, CodeModelChecksum},
}

// OfFile maps an error of a file or a model to a failure with a published code and a sentence for the customer; nil if err
// is none.
func OfFile(err error) *Failure {
	if f := explainFile(err); f != nil {
		return f.Because(err)
	}
	if ambiguous := new(engine.AmbiguousHeaderError); errors.As(err, &ambiguous) {
		return NotChosen(ambiguous.Candidates).Because(err)
	}
	for _, p := range codesOfFiles {
		if errors.Is(err, p.err) {
			return Fail(p.code, "").Because(err)
		}
	}
	return nil
}

// ExplainLocal maps an error of a program without a store to a failure: that of the error itself, of a file or a model, or
// of a context that ended. Any other becomes CodeInternal; its text is the cause and is only logged. Servers use
// storefault.Explain, which also knows the errors of the store.
func ExplainLocal(err error) *Failure {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	if f := OfFile(err); f != nil {
		return f
	}
	code := CodeInternal
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code = CodeBusy
	case errors.Is(err, context.Canceled):
		code = CodeShuttingDown
	}
	return Fail(code, "").Because(err)
}

// explainFile explains errors of a file's content; nil if err is none.
func explainFile(err error) *Failure {
	var (
		missing   *ingest.MissingColumnsError
		duplicate *ingest.DuplicateColumnError
		quote     *ingest.QuoteError
		long      *ingest.RowTooLongError
		large     *ingest.TooLargeError
		budget    *engine.BudgetError
		format    *ingest.FormatError
		foreign   *ingest.ForeignError
		style     *ingest.NumberStyleError
		shifted   *ingest.ShiftedRowsError
		useless   *engine.UselessColumnError
		few       *engine.FewScoredError
	)
	switch {
	case errors.As(err, &missing):
		return explainMissing(missing)
	case errors.As(err, &duplicate):
		first, second := duplicate.Fields[0]+1, duplicate.Fields[1]+1
		return Fail(CodeUnreadableHeader, fmt.Sprintf(
			"The column '%s' is in your file twice, as columns %d and %d. Remove or rename one of them.",
			duplicate.Name, first, second)).With(Details{"column": duplicate.Name, "columns": []int{first, second}})
	case errors.As(err, &quote):
		return explainQuote(quote)
	case errors.As(err, &long):
		return Fail(CodeRowTooLong, fmt.Sprintf(
			"The row that starts on line %d is longer than %s. A missing closing quotation mark is the usual cause.",
			long.Line, sizeText(int64(long.Limit)))).
			With(Details{"line": long.Line, "limit": long.Limit, "unit": "bytes"})
	case errors.As(err, &large):
		return TooLarge(large.Limit, large.Unit)
	case errors.As(err, &budget):
		return explainBudget(budget)
	case errors.As(err, &format):
		return explainFormat(format)
	case errors.As(err, &foreign):
		return explainForeign(foreign)
	case errors.As(err, &style):
		return explainStyle(style)
	case errors.As(err, &shifted):
		return explainShift(shifted)
	case errors.As(err, &useless):
		return explainUseless(useless)
	case errors.As(err, &few):
		return Fail(CodeFewScored, fmt.Sprintf("Only %s of the %s rows could be scored.", GroupedText(few.Scored), GroupedText(few.Rows))).
			With(Details{"actual": few.Scored, "expected": few.Rows, "unit": "rows"})
	}
	return nil
}

// NotChosen is the failure of a file whose header fits several models. Candidates are what ?model= takes.
func NotChosen(candidates []string) *Failure {
	return Fail(CodeModelNotChosen, "The columns of the file fit "+ListText(candidates)+". Name the model, such as ?model="+
		candidates[0]+".").With(Details{"field": "model", "candidates": candidates})
}

func explainForeign(e *ingest.ForeignError) *Failure {
	if errors.Is(e, ingest.ErrNotCSV) {
		return Fail(CodeInvalidFormat, "").With(Details{"actual": e.Kind, "allowed_formats": AllowedFormats()})
	}
	return Fail(CodeNotText, "This is "+e.Kind+", not CSV, whatever its name says. "+
		"Save it as CSV (in UTF-8) and send that.").With(Details{"actual": e.Kind, "expected": "CSV"})
}

// explainMissing lists the columns by their labels; the details have their names and the closest names in the file.
func explainMissing(e *ingest.MissingColumnsError) *Failure {
	var names []string
	var columns []Details
	for _, c := range e.Columns {
		label := titleCase(cmp.Or(c.Label, c.Name))
		names = append(names, "'"+label+"'")
		column := Details{"column": c.Name, "label": label}
		if c.Closest != "" {
			column["suggestion"] = Sanitize(c.Closest)
		}
		columns = append(columns, column)
	}
	d := Details{"columns": columns}
	if len(columns) == 1 && e.Columns[0].Closest != "" {
		d["suggestion"] = columns[0]["suggestion"]
	}
	return Fail(CodeMissingColumns, fmt.Sprintf("Missing required %s %s. Please ensure your CSV contains %s.",
		Plural(len(names), "column", "columns"), ListText(names), Plural(len(names), "this column", "these columns"))).
		With(d)
}

func explainQuote(e *ingest.QuoteError) *Failure {
	text := "There is a stray quotation mark on line %d. A cell that contains quotation marks must be quoted, " +
		"and each quotation mark inside it doubled."
	if e.Unclosed {
		text = "The quotation mark opened on line %d is not closed. Close it, or double it if it belongs to the text."
	}
	d := Details{"line": e.Line}
	message := fmt.Sprintf(text, e.Line)
	if len(e.Broken) > 0 {
		var lines []string
		for _, line := range e.Broken {
			lines = append(lines, GroupedText(line))
		}
		d["lines"] = e.Broken
		message += fmt.Sprintf(" Quotation marks stand in the wrong place on %s %s too, which may be the cause.",
			Plural(len(lines), "line", "lines"), ListText(lines))
	}
	return Fail(CodeBadQuoting, message).With(d)
}

func explainBudget(e *engine.BudgetError) *Failure {
	return Fail(CodeErrorBudgetSpent, fmt.Sprintf("%s of the first %s rows were rejected, more than the %s allowed.",
		GroupedText(e.Rejected), GroupedText(e.Rows), e.Limit())).
		With(Details{"limit": e.Limit(), "actual": e.Rejected, "unit": "rows"})
}

func explainFormat(e *ingest.FormatError) *Failure {
	d := Details{}
	text := "The body cannot be read as " + e.Format + ": " + e.Problem + "."
	if e.Row > 0 {
		text = fmt.Sprintf("Row %d of the body cannot be read as %s: %s.", e.Row, e.Format, e.Problem)
		d["row"] = e.Row
	}
	if e.Column != "" {
		d["column"] = Sanitize(e.Column)
		text += " It is about '" + Sanitize(e.Column) + "'."
	}
	return Fail(CodeUnparseableBody, text).With(d)
}

// TooLarge is the failure of a file over a limit; unit is "bytes" or "rows".
func TooLarge(limit int64, unit string) *Failure {
	text := "File too large. Maximum size is " + strings.ReplaceAll(sizeText(limit), " MB", "MB")
	if unit == "rows" {
		text = "The file has more than " + GroupedText(limit) + " rows, the most that one upload may have. " +
			"Split it into smaller files."
	}
	return Fail(CodeTooLarge, text).With(Details{"limit": limit, "unit": unit})
}

// sizeText formats a number of bytes: "50 MB".
func sizeText(bytes int64) string {
	switch {
	case bytes >= 1<<20 && bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MB", bytes>>20)
	case bytes >= 1<<10 && bytes%(1<<10) == 0:
		return fmt.Sprintf("%d KB", bytes>>10)
	}
	return GroupedText(bytes) + " bytes"
}

// GroupedText formats 100000 as "100,000".
func GroupedText(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Plural returns one if n is 1, else many.
func Plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// ListText joins items as "a, b and c".
func ListText(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " and " + items[last]
}

const sanitizedRunesMax = 80

// Sanitize makes a customer's text safe to repeat in an answer: one line of at most 80 characters, without control or
// bidirectional characters.
func Sanitize(text string) string {
	var b strings.Builder
	runes := 0
	for _, r := range text {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if runes++; runes > sanitizedRunesMax {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// SanitizeAll sanitizes each text; the list is never nil.
func SanitizeAll(texts []string) []string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = Sanitize(text)
	}
	return list
}
