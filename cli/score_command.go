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
	Model       string      `required:"" help:"Bundle directory, baseline name (telecom, saas) or model file." placeholder:"MODEL"`
	Explain     string      `enum:"all,at_risk,none" default:"all" help:"Rows that get an explanation: ${enum} (at_risk: rows above the lowest risk band)."`
	Iterations  string      `enum:"best,all," default:"" help:"Which iterations of a model file count after early stopping: best (as XGBClassifier.predict_proba) or all (as Booster.predict, the default)."`
	Scorer      string      `enum:"compiled,leaves" default:"compiled" help:"Scoring engine: ${enum}."`
	Out         string      `help:"File for the scored CSV (default: standard output)." placeholder:"FILE"`
	Rejects     string      `help:"File for rejected rows (default: they are only counted)." placeholder:"FILE"`
	Budget      budgetFlags `embed:""`
	Numbers     numberFlags `embed:""`
	Columns     columnFlags `embed:""`
	Guard       string      `enum:"on,off" default:"on" help:"Guard output cells that a spreadsheet would run as formulas with an apostrophe: ${enum} (off: bytes as they are)."`
	ChangesFrom string      `help:"Earlier file, or its result, to compare with: it is scored too and the summary reports what changed since." placeholder:"FILE"`
	Summary     string      `help:"File for the summary as JSON; - is standard output and requires --out." placeholder:"FILE"`
	Workers     int         `help:"CPU cores to use (0 = all)." default:"0"`
	Input       string      `arg:"" help:"CSV file (plain, gzip or zstd), or - for standard input."`
}

// Help returns the text that kong prints above the flags.
func (c *scoreCommand) Help() string {
	return "Output files are replaced only when all are complete, and keep their mode and owner; links are followed. Pipes " +
		"and devices are written while rows are scored: if the exit status is not 0 their content is incomplete, which is " +
		"also reported on standard error. SIGINT and SIGTERM end the command with 130 and 143 and leave files unchanged; a " +
		"second signal kills."
}

// budgetFlags limit the rejected rows of a file.
type budgetFlags struct {
	MaxRejected        *int64   `help:"Stop with an error when more than N rows are rejected." placeholder:"N"`
	MaxRejectedPercent *float64 `help:"Stop with an error when more than P percent of the rows are rejected, checked from 1,000 rows on." placeholder:"P"`
}

// numberFlags say how the numbers of a file are written, where the file does not show it.
type numberFlags struct {
	Decimal   string `help:"Decimal sign of the input's numbers, . or , (or point, comma); found out if not given." placeholder:"SIGN"`
	Thousands string `help:"Separator of thousands in them: . , space apostrophe none; any but the decimal sign if not given." placeholder:"SIGN"`
}

// columnFlags say what becomes of a file with a useless column.
type columnFlags struct {
	ColumnCheck string `enum:"off,warn,fail" default:"fail" help:"What to do with a file of 100 rows or more in which the model cannot use most values of a column that it needs: ${enum}."`
}

func (f columnFlags) check() engine.ColumnCheck { return engine.ColumnCheck(f.ColumnCheck) }

// style is what the flags state.
func (f numberFlags) style() (ingest.NumberStyle, error) {
	style, err := ingest.ParseNumberStyle(f.Decimal, f.Thousands)
	if err != nil {
		return style, &plainError{"--decimal, --thousands: " + err.Error()}
	}
	return style, nil
}

// Run scores the input. Files named by --out, --rejects and --summary are replaced only when they are complete.
func (c *scoreCommand) Run(ctx context.Context, std streams, files *outputs) (err error) {
	if c.Summary == "-" && c.Out == "" {
		return &plainError{"--summary - and the scored CSV cannot both go to standard output: name a file with --out"}
	}
	if c.ChangesFrom == "-" {
		return &plainError{"--changes-from takes the name of a file"}
	}
	style, err := c.Numbers.style()
	if err != nil {
		return err
	}
	bundle, err := openModelIterations(c.Model, c.Iterations)
	if err != nil {
		return err
	}
	warn(std, bundle.Warnings())
	opt := engine.Options{
		Workers: c.Workers, Explain: engine.Explain(c.Explain), Scorer: engine.Scorer(c.Scorer), WithHeader: true,
	}
	files.readsModel(c.Model)
	watch, err := newChangeWatch(ctx, c.ChangesFrom, std, files, bundle, opt, style)
	if err != nil {
		return err
	}
	in, closeInput, err := openInput(c.Input, std, files)
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
	if err := in.CheckColumns(bundle, c.Columns.check()); err != nil {
		return err
	}
	begin := time.Now()
	opt.Budget, opt.Unguarded, opt.Snapshot = engine.Budget(c.Budget), c.Guard == "off", watch.snapshot()
	tally, err := engine.Score(ctx, in, bundle, opt, sink)
	if err == nil {
		err = tally.CheckNumbers()
	}
	if err != nil {
		return err
	}
	if useless := tally.CheckColumns(c.Columns.check()); useless != nil {
		return cmp.Or(files.finishOnly(sink.rejects), useless)
	}
	tally.ColumnCheck = c.Columns.check()
	summary := tally.Summary()
	if summary.Changes, err = watch.changes(bundle); err != nil {
		return err
	}
	if err := sink.writeSummary(&summary); err != nil {
		return err
	}
	if err := files.finish(true); err != nil {
		return err
	}
	sink.progress.report(&summary, time.Since(begin))
	return nil
}

// openModel opens the value of --model: a directory, a baseline, or a bare model file.
func openModel(name string) (*engine.Bundle, error) { return openModelIterations(name, "") }

// openModelIterations is openModel with the iterations of a bare model file that count; a bundle names its own.
func openModelIterations(name, iterations string) (*engine.Bundle, error) {
	info, err := os.Stat(name)
	switch {
	case iterations != "" && (err != nil || info.IsDir()):
		return nil, &plainError{"--iterations is for model files: a bundle has the key iterations in bundle.yaml"}
	case err == nil && info.IsDir():
		return engine.OpenBundle(os.DirFS(name))
	case err == nil:
		file, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		return engine.OpenModelFileIterations(filepath.Base(name), file, iterations)
	case slices.Contains(engine.BaselineNames(), name):
		return engine.OpenBaseline(name)
	}
	return nil, &plainError{fmt.Sprintf("model %q is neither a directory, a file, nor a baseline (%s)",
		name, strings.Join(engine.BaselineNames(), ", "))}
}

// openInput opens a CSV file or standard input, unpacks it and reads its header. The caller closes it.
func openInput(name string, std streams, files *outputs) (engine.Input, func(), error) {
	if name == "-" {
		files.reads(std.in)
		in, err := readInput(std.in)
		return in, func() {}, err
	}
	file, err := os.Open(name)
	if err != nil {
		return engine.Input{}, nil, err
	}
	files.reads(file)
	in, err := readInput(file)
	if err != nil {
		return in, nil, errors.Join(err, file.Close())
	}
	return in, func() { _ = file.Close() }, nil
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
}

func newFileSink(c *scoreCommand, std streams, files *outputs) (*fileSink, error) {
	s := &fileSink{progress: progress{out: std.err, terminal: isTerminal(std.err)}}
	var err error
	if s.result, err = files.create("--out", c.Out, std.out); err != nil {
		return nil, err
	}
	if s.rejects, err = files.create("--rejects", c.Rejects, io.Discard); err != nil {
		return nil, err
	}
	name, stream := c.Summary, io.Discard
	if name == "-" {
		name, stream = "", std.out
	}
	if s.summary, err = files.create("--summary", name, stream); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *fileSink) writeSummary(summary *engine.Summary) error {
	encoder := json.NewEncoder(s.summary)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(summary); err != nil {
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
	s.progress.add(c.Tally.Rows)
	return nil
}
