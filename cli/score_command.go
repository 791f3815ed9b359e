package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
)

// scoreCommand scores a file into a file.
type scoreCommand struct {
	Model        string      `required:"" help:"Bundle directory, baseline name (telecom, saas) or model file." placeholder:"MODEL"`
	Iterations   string      `enum:"best,all," default:"" help:"Which iterations of a model file count after early stopping: best (as XGBClassifier.predict_proba) or all (as Booster.predict, the default)."`
	Columns      modelFlags  `embed:""`
	Label        string      `help:"Column that says whether the customer left (yes or no, true or false, 1 or 0): the report compares it with the scores of the first 2,000,000 rows." placeholder:"COLUMN"`
	Explain      string      `enum:"all,at_risk,none" default:"all" help:"Rows that get an explanation: ${enum} (at_risk: rows above the lowest risk band)."`
	Scorer       string      `enum:"compiled,leaves" default:"compiled" help:"Scoring engine: ${enum}."`
	Out          string      `help:"File for the scored CSV (default: standard output)." placeholder:"FILE"`
	Rejects      string      `help:"File for rejected rows (default: they are only counted)." placeholder:"FILE"`
	Budget       budgetFlags `embed:""`
	Numbers      numberFlags `embed:""`
	ColumnCheck  columnFlags `embed:""`
	AllowRejects bool        `help:"Accept a file of which fewer than half of the rows could be scored."`
	Guard        string      `enum:"on,off" default:"on" help:"Guard output cells that a spreadsheet would run as formulas with an apostrophe: ${enum} (off: bytes as they are)."`
	ChangesFrom  string      `help:"Earlier file, or its result, to compare with: it is scored too and the summary reports what changed since." placeholder:"FILE"`
	Summary      string      `help:"File for the summary as JSON; - is standard output and requires --out." placeholder:"FILE"`
	Workers      int         `help:"CPU cores to use (0 = all)." default:"0"`
	Input        string      `arg:"" help:"CSV file (plain, gzip or zstd), or - for standard input."`
}

// Help returns the text that kong prints above the flags.
func (c *scoreCommand) Help() string {
	return "Output files are replaced only when all are complete, and keep their mode and owner; links are followed. If fewer " +
		"than half of the rows could be scored, only the file of --rejects is written and the exit status is 65. Pipes " +
		"and devices are written while rows are scored: if the exit status is not 0 their content is incomplete, which is " +
		"also reported on standard error. SIGINT and SIGTERM end the command with 130 and 143 and leave files unchanged; a " +
		"second signal kills."
}

// budgetFlags limit the rejected rows of a file.
type budgetFlags struct {
	MaxRejected        *int64   `help:"Stop with an error when more than N rows are rejected." placeholder:"N"`
	MaxRejectedPercent *float64 `help:"Stop with an error when more than P percent of the rows are rejected, checked from 1,000 rows on." placeholder:"P"`
}

// numberFlags describe how the numbers of a file are written, where the file does not show it.
type numberFlags struct {
	Decimal   string `help:"Decimal sign of the input's numbers, . or , (or point, comma); found out if not given." placeholder:"SIGN"`
	Thousands string `help:"Separator of thousands in them: . , space apostrophe none; any but the decimal sign if not given." placeholder:"SIGN"`
}

// columnFlags decide about a file with a useless column.
type columnFlags struct {
	Check string `name:"column-check" enum:"off,warn,fail" default:"fail" help:"What to do with a file of 100 rows or more in which the model cannot use most values of a column that it needs: ${enum}."`
}

func (f columnFlags) check() engine.ColumnCheck { return engine.ColumnCheck(f.Check) }

// style is what the flags state.
func (f numberFlags) style() (ingest.NumberStyle, error) {
	style, err := ingest.ParseNumberStyle(f.Decimal, f.Thousands)
	if err != nil {
		return style, Usage("--decimal, --thousands: %v", err)
	}
	return style, nil
}

// Run scores the input. Files named by --out, --rejects and --summary are replaced only when they are complete.
func (c *scoreCommand) Run(ctx context.Context, std Streams, files *outputs) (err error) {
	if c.Summary == "-" && c.Out == "" {
		return Usage("--summary - and the scored CSV cannot both go to standard output: name a file with --out")
	}
	if c.ChangesFrom == "-" {
		return Usage("--changes-from takes the name of a file")
	}
	style, err := c.Numbers.style()
	if err != nil {
		return err
	}
	bundle, err := c.Columns.open(c.Model, c.Iterations, c.Label)
	if err != nil {
		return err
	}
	Warn(std, bundle.Warnings())
	opt := engine.Options{
		Workers: c.Workers, Explain: engine.Explain(c.Explain), Scorer: engine.Scorer(c.Scorer), WithHeader: true,
	}
	files.readsModel(c.Model)
	watch, err := newChangeWatch(ctx, c.ChangesFrom, std, files, bundle, opt, style)
	if err != nil {
		return err
	}
	in, counted, closeInput, err := openCounted(c.Input, std, files)
	if err != nil {
		return err
	}
	defer closeInput()
	sink, err := newFileSink(c, std, files)
	if err != nil {
		return err
	}
	if err := in.DecideNumbers(bundle, style); err != nil {
		return err
	}
	if err := in.CheckColumns(bundle, c.ColumnCheck.check()); err != nil {
		return err
	}
	begin := time.Now()
	sink.progress.input, sink.progress.begin = counted, begin
	if sink.outcomes = newOutcomes(bundle, c.Label); sink.outcomes != nil {
		opt.NewSampler = bundle.NewLabelSampler
	}
	opt.Budget, opt.Unguarded, opt.Snapshot = engine.Budget(c.Budget), c.Guard == "off", watch.snapshot()
	tally, err := engine.Score(ctx, in, bundle, opt, sink)
	if err == nil {
		err = tally.CheckNumbers()
	}
	if err != nil {
		return err
	}
	return c.publish(&tally, bundle, watch, sink, files, begin)
}

// publish writes the summary, gives the outputs their names and prints the report. Of a file with a useless column, or of
// which too few rows could be scored, only the rejects are kept.
func (c *scoreCommand) publish(
	tally *engine.Tally, bundle *engine.Bundle, watch *changeWatch, sink *fileSink, files *outputs, begin time.Time,
) (err error) {
	if useless := tally.CheckColumns(c.ColumnCheck.check()); useless != nil {
		return cmp.Or(files.finishOnly(sink.rejects), useless)
	}
	tally.ColumnCheck = c.ColumnCheck.check()
	summary := tally.Summary()
	if summary.Changes, err = watch.changes(bundle); err != nil {
		return err
	}
	report := sink.outcomes.report()
	if err := sink.writeSummary(&summary, report); err != nil {
		return err
	}
	few := c.tooFew(tally)
	if few == nil {
		err = files.finish(true)
	} else {
		err = files.finishOnly(sink.rejects)
	}
	if err != nil {
		return err
	}
	sink.progress.report(&summary, report, time.Since(begin))
	return few
}

// tooFew returns an error if fewer than half of the rows could be scored, unless a flag says how many may be rejected.
func (c *scoreCommand) tooFew(t *engine.Tally) error {
	if c.AllowRejects || engine.Budget(c.Budget).CheckScored(t) == nil {
		return nil
	}
	kept := ""
	if c.Out != "" {
		kept = c.Out + " is left as it was. "
	}
	return Plain(ExitData, "only %s of %s rows could be scored. %sCorrect the rejected rows (--rejects FILE has "+
		"them), or accept the result with --allow-rejects", count(t.Scored), count(t.Rows), kept)
}

// openModel opens the value of --model: a directory, a baseline, or a bare model file.
func openModel(name string) (*engine.Bundle, error) { return openModelIterations(name, "") }

// openModelIterations is openModel with the iterations of a bare model file that count; a bundle names its own.
func openModelIterations(name, iterations string) (*engine.Bundle, error) {
	info, err := os.Stat(name)
	switch {
	case iterations != "" && (err != nil || info.IsDir()):
		return nil, Usage("--iterations is for model files: a bundle has the key iterations in bundle.yaml")
	case err == nil && info.IsDir():
		b, err := engine.OpenBundle(os.DirFS(name))
		return b, Caused(ExitData, err)
	case err == nil:
		file, err := os.ReadFile(name)
		if err != nil {
			return nil, Caused(ExitNoInput, err)
		}
		b, err := engine.OpenModelFileIterations(filepath.Base(name), file, iterations)
		return b, Caused(ExitData, err)
	case slices.Contains(engine.BaselineNames(), name):
		return engine.OpenBaseline(name)
	}
	return nil, Plain(ExitNoInput, "model %q is neither a directory, a file, nor a baseline (%s)",
		name, strings.Join(engine.BaselineNames(), ", "))
}

// openInput opens a CSV file or standard input, unpacks it and reads its header. The caller closes it.
func openInput(name string, std Streams, files *outputs) (engine.Input, func(), error) {
	in, _, closeInput, err := openCounted(name, std, files)
	return in, closeInput, err
}

// openCounted is openInput with a counter of the bytes read; nil if the size of the input is unknown.
func openCounted(name string, std Streams, files *outputs) (engine.Input, *countedFile, func(), error) {
	if name == "-" {
		files.reads(std.In)
		in, err := readInput(std.In)
		return in, nil, func() {}, err
	}
	file, err := os.Open(name)
	if err != nil {
		return engine.Input{}, nil, nil, Caused(ExitNoInput, err)
	}
	files.reads(file)
	counted, reader := countFile(file), io.Reader(file)
	if counted != nil {
		reader = counted
	}
	in, err := readInput(reader)
	if err != nil {
		return in, nil, nil, Caused(ExitNoInput, errors.Join(err, file.Close()))
	}
	return in, counted, func() { _ = file.Close() }, nil
}

// readInput unpacks a file and reads its header.
func readInput(file io.Reader) (engine.Input, error) {
	limits := ingest.Limits{}
	text, err := ingest.Unpack(file, limits)
	if err != nil {
		return engine.Input{}, err
	}
	header, body, err := ingest.ReadHeader(text, limits)
	return engine.Input{Body: body, Header: header, Start: header.Start(), Limits: limits}, err
}

// fileSink writes results, rejects and the summary to files.
type fileSink struct {
	result, rejects, summary *output
	progress                 progress
	outcomes                 *outcomes // nil without --label
}

func newFileSink(c *scoreCommand, std Streams, files *outputs) (*fileSink, error) {
	s := &fileSink{progress: progress{out: std.Err, terminal: isTerminal(std.Err)}}
	s.progress.hidden = c.Out == "" && isTerminal(std.Out)
	var err error
	if s.result, err = files.create("--out", c.Out, std.Out); err != nil {
		return nil, err
	}
	if s.rejects, err = files.create("--rejects", c.Rejects, io.Discard); err != nil {
		return nil, err
	}
	name, stream := c.Summary, io.Discard
	if name == "-" {
		name, stream = "", std.Out
	}
	if s.summary, err = files.create("--summary", name, stream); err != nil {
		return nil, err
	}
	return s, nil
}

// writeSummary writes the summary, with the comparison with outcomes if there is one.
func (s *fileSink) writeSummary(summary *engine.Summary, report *engine.OutcomeReport) error {
	encoder := json.NewEncoder(s.summary)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(struct {
		*engine.Summary
		Outcomes *engine.OutcomeReport `json:"outcomes,omitempty"`
	}{summary, report}); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

func (s *fileSink) WriteChunk(c *engine.ScoredChunk) error {
	if _, err := s.result.Write(c.Result); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if _, err := s.rejects.Write(c.Rejects); err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	s.outcomes.add(c.Sample)
	s.progress.add(c.Tally.Rows)
	return nil
}
