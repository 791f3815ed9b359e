package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/retainwise/millrace/bench"
	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/engine/forest"
)

// benchCommand measures millrace and the alternatives on this machine.
type benchCommand struct {
	Suite string `arg:"" optional:"" enum:"engine,explain,ingest,copy,queries,indexes,upgrade,api,e2e,fairness,gate,all" default:"all" help:"Suite to run: ${enum}."`

	JSON     bool   `name:"json" xor:"format" help:"Print all measurements as JSON."`
	Text     bool   `xor:"format" help:"Print each round as a line for benchstat."`
	Markdown bool   `xor:"format" help:"Print the tables of docs/benchmarks.md."`
	From     string `help:"Print a saved --json report in another format instead of measuring." placeholder:"FILE"`

	Seconds float64 `default:"1" help:"Seconds per comparison; at least five rounds are measured."`
	Quick   bool    `help:"Run each suite once with little data, as a test of the program rather than of the machine."`
	Sample  string  `default:"testdata/samples/telecom_10k.csv" help:"CSV file with rows for the telecom model; generated if the file does not exist."`

	Floors string `default:"bench/results/floors.json" help:"JSON file with the floors that the gate suite compares ratios with." placeholder:"FILE"`

	DatabaseURL string `secret:"" env:"DATABASE_URL" help:"PostgreSQL connection URL for the suites copy, queries, indexes and upgrade (default: start a private one; Linux and macOS only)." placeholder:"URL"`

	Model       string `help:"Model file to measure instead of the test model; requires --data." placeholder:"FILE"`
	Data        string `help:"File with the numeric matrix for --model; an empty cell or nan is a missing value." placeholder:"FILE"`
	Header      bool   `help:"Skip the first line of the --data matrix, which holds column names."`
	LabelColumn int    `default:"-1" help:"Column of the --data matrix to leave out, counted from 0 (-1 = none)." placeholder:"N"`
}

// Run measures one suite after the other and prints each report when it is complete.
func (c *benchCommand) Run(ctx context.Context, std cli.Streams) error {
	if c.From != "" {
		return cli.Caused(cli.ExitData, c.printSaved(std.Out))
	}
	options, err := c.options()
	if err != nil {
		return err
	}
	suites := []string{c.Suite}
	if c.Suite == "all" {
		suites = bench.Suites()
	}
	for _, suite := range suites {
		report, err := bench.Run(ctx, suite, options)
		if err != nil {
			return err
		}
		if err := c.print(std.Out, report); err != nil {
			return err
		}
		if c.Suite == "gate" && report.BelowFloor() != nil {
			return cli.Caused(cli.ExitData, report.BelowFloor())
		}
	}
	return nil
}

// printSaved prints the reports of a saved run.
func (c *benchCommand) printSaved(out io.Writer) error {
	file, err := os.Open(c.From)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for decoder := json.NewDecoder(file); ; {
		r := new(bench.Report)
		if err := decoder.Decode(r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", c.From, err)
		}
		if err := c.print(out, r); err != nil {
			return err
		}
	}
}

func (c *benchCommand) print(out io.Writer, r *bench.Report) error {
	switch {
	case c.JSON:
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	case c.Text:
		return r.WriteText(out)
	case c.Markdown:
		return r.WriteMarkdown(out)
	}
	return r.WriteTable(out)
}

func (c *benchCommand) options() (bench.Options, error) {
	o := bench.Options{Seconds: c.Seconds, Quick: c.Quick, DatabaseURL: c.DatabaseURL}
	if c.Seconds < 0 || c.Seconds > 3600 {
		return o, cli.Usage("--seconds must be between 0 and 3600")
	}
	if (c.Model == "") != (c.Data == "") {
		return o, cli.Usage("--model and --data belong together")
	}
	var err error
	if o.Sample, err = os.ReadFile(c.Sample); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return o, cli.Caused(cli.ExitNoInput, err)
	}
	if c.Suite == "gate" {
		file, err := os.ReadFile(c.Floors)
		if err != nil {
			return o, cli.Caused(cli.ExitNoInput, err)
		}
		if o.Floors, err = bench.ReadFloors(file); err != nil {
			return o, cli.Caused(cli.ExitData, fmt.Errorf("%s: %w", c.Floors, err))
		}
	}
	if c.Model == "" {
		return o, nil
	}
	if o.Forest, err = cli.ReadForest(c.Model); err != nil {
		return o, err
	}
	o.Rows, err = c.matrix(len(o.Forest.Features))
	return o, err
}

// matrix reads all rows of --data.
func (c *benchCommand) matrix(features int) (forest.Rows, error) {
	all := forest.Rows{Columns: make([]forest.Column, features)}
	file, err := os.Open(c.Data)
	if err != nil {
		return all, cli.Caused(cli.ExitNoInput, err)
	}
	defer func() { _ = file.Close() }()
	in := cli.NewMatrixReader(file, features, c.Header, c.LabelColumn)
	for {
		rows, err := in.Next()
		if err == io.EOF && all.Len > 0 {
			return all, nil
		}
		if err == io.EOF {
			err = errors.New("no rows")
		}
		if err != nil {
			return all, cli.Caused(cli.ExitData, fmt.Errorf("%s: %w", c.Data, err))
		}
		all.Len += rows.Len
		for i := range all.Columns {
			all.Columns[i].Numbers = append(all.Columns[i].Numbers, rows.Columns[i].Numbers...)
		}
	}
}
