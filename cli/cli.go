// Package cli is the command line: a file for each command, with its flags, tables and progress.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/cluster"
)

// commandLine is everything the program can be asked to do. Every flag has an environment variable where a server needs
// one.
type commandLine struct {
	Serve    serveCommand    `cmd:"" help:"Serve the API, score uploads, or both."`
	Score    scoreCommand    `cmd:"" help:"Score a CSV file without a server or a database."`
	Validate validateCommand `cmd:"" help:"Say what is wrong with a CSV file, and score nothing."`
	Model    modelCommand    `cmd:"" help:"Look into model files and bundles."`
	Jobs     jobsCommand     `cmd:"" help:"List predictions that were given up, score them again, or stop one."`
	Store    storeCommand    `cmd:"" help:"Say whose the object store is, compare it with the database, look at what sweeps found."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database's tables up to date."`
	Bench    benchCommand    `cmd:"" help:"Measure how fast this machine scores, explains and reads, beside the alternatives."`
}

// streams are the process's standard streams, passed in so that tests can stand in for a terminal.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the command that the process was started with until it ends or a signal ends it, and returns the exit status.
func Main() (status int) {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	return Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs one command with the streams given and returns the exit status.
func Run(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) (status int) {
	return runCommand(ctx, args, streams{in, out, messages})
}

// runCommand parses and runs one command; it returns the exit status: 0, or 1 after one clear line on standard error, and
// one for each output that is not whole and could not be taken back. A command that a signal ended gives 128 and the
// signal's number. Servers drain first, and then have ended as they should.
func runCommand(ctx context.Context, args []string, std streams) (status int) {
	var cmd commandLine
	files := new(outputs)
	exited := -1
	parser, err := kong.New(&cmd,
		kong.Name("millrace"),
		kong.Description("Streaming batch scorer for churn models."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, files),
	)
	if err != nil {
		return fail(std, err)
	}
	chosen, err := parser.Parse(args)
	if exited >= 0 { // --help has been printed
		return exited
	}
	if err != nil {
		return fail(std, &plainError{err.Error() + "; --help tells what there is"})
	}
	name, _, _ := strings.Cut(chosen.Command(), " ")
	drains := name == "serve" || name == "bench" // they stop the servers that they have started
	ended := make(chan error, 1)
	go func() { ended <- chosen.Run() }() // a command that stands still is left behind at the end of the process
	if err = await(ctx, ended, drains); err == nil {
		return 0
	}
	if i := interrupted(ctx); i != nil && (name != "serve" || errors.Is(err, context.Canceled)) {
		files.abandon()
		_, _ = fmt.Fprintln(std.err, "millrace: interrupted")
		status = i.status()
	} else {
		_ = files.finish(false)
		status = fail(std, err)
	}
	for _, name := range files.spoiled {
		_, _ = fmt.Fprintf(std.err, "millrace: %s is not whole\n", name)
	}
	return status
}

// statusUnavailable (EX_UNAVAILABLE) makes the Makefile install PostgreSQL and try again.
const statusUnavailable = 69

// plainError is a sentence for a person without a published code: a mistake on the command line, or what a server has
// put into words already.
type plainError struct{ text string }

func (e *plainError) Error() string { return e.text }

// fail prints one line: the published code, if there is one, and a sentence.
func fail(std streams, err error) int {
	line := serve.ErrorLine(err)
	if plain := (*plainError)(nil); errors.As(err, &plain) {
		line = plain.text
	}
	if output := (*outputError)(nil); errors.As(err, &output) {
		line = output.Error()
	}
	status := 1
	if errors.Is(err, cluster.ErrNotInstalled) {
		line, status = err.Error(), statusUnavailable
	}
	_, _ = fmt.Fprintln(std.err, "millrace:", line)
	return status
}
