package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// validateFindingsMax is how many rows are listed; the others are counted.
const validateFindingsMax = 100

// validateCommand checks a file as scoring would, without scoring it.
type validateCommand struct {
	Model   string      `required:"" help:"Bundle directory, baseline name (telecom, saas) or model file." placeholder:"MODEL"`
	Columns modelFlags  `embed:""`
	Rejects string      `help:"File for the rows that would be rejected (default: they are only reported)." placeholder:"FILE"`
	Guard   string      `enum:"on,off" default:"on" help:"Guard cells of the rejects file that a spreadsheet would run as formulas with an apostrophe: ${enum}."`
	Numbers numberFlags `embed:""`
	Check   columnFlags `embed:""`
	Budget  budgetFlags `embed:""`
	Input   string      `arg:"" help:"CSV file (plain, gzip or zstd), or - for standard input."`
}

// Help returns the text that kong prints above the flags.
func (c *validateCommand) Help() string {
	return "Exits with 0 if no row would be rejected, or no more than --max-rejected and --max-rejected-percent allow, and with 65 otherwise."
}

// Run reads the input and prints what is wrong with it, row by row and column by column. Nothing is scored.
func (c *validateCommand) Run(ctx context.Context, std Streams, files *outputs) error {
	style, err := c.Numbers.style()
	if err != nil {
		return err
	}
	bundle, err := c.Columns.open(c.Model, "", "")
	if err != nil {
		return err
	}
	files.readsModel(c.Model)
	in, closeInput, err := openInput(c.Input, std, files)
	if err != nil {
		return err
	}
	defer closeInput()
	if err := in.DecideNumbers(bundle, style); err != nil {
		return err
	}
	out, err := files.create("", "", std.Out)
	if err != nil {
		return err
	}
	rejects, err := files.create("--rejects", c.Rejects, io.Discard)
	if err != nil {
		return err
	}
	tally, err := c.report(ctx, in, bundle, rejects, out)
	if err != nil {
		return err
	}
	if err := files.finish(true); err != nil {
		return err
	}
	return cmp.Or(tally.CheckColumns(c.Check.check()), c.verdict(tally))
}

// report prints the rows that would be rejected as they are found, and then a summary of the file.
func (c *validateCommand) report(
	ctx context.Context, in engine.Input, bundle *engine.Bundle, rejects, w *output,
) (*engine.Tally, error) {
	mapping, err := ingest.Map(bundle.Schema(), in.Header)
	if err != nil {
		return nil, err
	}
	mapping.Guard = c.Guard == "on"
	listed, row := 0, mapping.AppendRejectHeader(nil)
	_, writeErr := rejects.Write(row)
	tally, err := engine.Validate(ctx, in, bundle, func(chunk ingest.Chunk, r ingest.Reject) {
		row = mapping.AppendReject(row[:0], chunk, r)
		if _, err := rejects.Write(row); writeErr == nil {
			writeErr = err
		}
		if listed++; listed <= validateFindingsMax {
			_, _ = fmt.Fprintf(w, "row %d (line %d): %s %s\n", r.Row, r.Line, r.Reason.Code(), printable(r.Sentence()))
		}
	})
	if err != nil {
		return nil, err
	}
	if writeErr != nil {
		return nil, fmt.Errorf("write rejects: %w", writeErr)
	}
	if omitted := listed - validateFindingsMax; omitted > 0 {
		_, _ = fmt.Fprintf(w, "and %d more\n", omitted)
	}
	tally.ColumnCheck = c.Check.check()
	s := tally.Summary()
	_, _ = io.WriteString(w, problemLines(&s))
	_, _ = fmt.Fprintf(w, "%d rows: %d would be scored, %d rejected\n", s.Rows, s.Scored, s.Rejected)
	_, _ = io.WriteString(w, remarkLines(&s)+readingLines(&s)+absentLine(&s)+notUsedLine(&s)+section("Data quality", qualityTable(&s)))
	return &tally, nil
}

// verdict returns nil if the file would be accepted.
func (c *validateCommand) verdict(t *engine.Tally) error {
	budget := engine.Budget(c.Budget)
	if budget == (engine.Budget{}) {
		budget.MaxRejected = new(int64)
	}
	return budget.Check(t)
}

// absentLine names the optional columns that the file does not have.
func absentLine(s *engine.Summary) string {
	var names []string
	for _, c := range s.Quality.Columns {
		if c.Absent {
			names = append(names, c.Column)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return wrapped("  ", "not in the file: "+strings.Join(names, ", "))
}

// qualityTable lists the columns with missing, unseen or unusual values.
func qualityTable(s *engine.Summary) table {
	t := table{{"column", "missing", "unseen", "out of range", ""}}
	drift := map[string]string{}
	if s.Drift != nil {
		for _, d := range s.Drift.Features {
			if d.Change != "none" {
				drift[d.Column] = fmt.Sprintf("%s drift, PSI %.2f", d.Change, d.PSI)
			}
		}
	}
	for _, c := range s.Quality.Columns {
		note := drift[c.Column]
		if c.Constant {
			note = "one value only"
		}
		if !c.Absent && (c.Missing > 0 || c.Unseen > 0 || c.OutOfRange > 0 || note != "") {
			t.add(printable(c.Column), count(c.Missing), count(c.Unseen), count(c.OutOfRange), note)
		}
	}
	return t
}

func count(n int64) string { return grouped(float64(n)) }
