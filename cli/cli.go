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

// commandLine holds all commands of the program. Flags of servers have environment variables as well.
type commandLine struct {
	Serve    serveCommand    `cmd:"" help:"Serve the API, score uploads, or both."`
	Score    scoreCommand    `cmd:"" help:"Score a CSV file without a server or a database."`
	Validate validateCommand `cmd:"" help:"Check a CSV file and report what is wrong with it, without scoring."`
	Model    modelCommand    `cmd:"" help:"Inspect, verify and run model files and bundles."`
	Jobs     jobsCommand     `cmd:"" help:"List failed and dead predictions, retry them, or cancel one."`
	Store    storeCommand    `cmd:"" help:"Adopt the object store, compare it with the database, list orphaned objects."`
	Migrate  migrateCommand  `cmd:"" help:"Apply or list database migrations."`
	Bench    benchCommand    `cmd:"" help:"Benchmark scoring, explaining, reading and serving on this machine, compared with alternatives."`
}

// streams are the standard streams of a command, passed in so that tests can replace them.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the command of the process's arguments until it ends, or SIGINT or SIGTERM cancels it, and returns the exit
// status.
func Main() (status int) {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	return Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs one command with the given streams and returns the exit status. It does not handle signals.
func Run(ctx context.Context, args []string, in io.Reader, out, messages io.Writer) (status int) {
	return runCommand(ctx, args, streams{in, out, messages})
}

// runCommand parses and runs one command and returns the exit status: 0, or 1 after one line on standard error, and one
// more line for each incomplete output that could not be removed. It returns 128 plus the signal's number for a command
// that a signal ended, except serve, which drains and returns 0.
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
		return fail(std, &plainError{err.Error() + "; see --help"})
	}
	name, _, _ := strings.Cut(chosen.Command(), " ")
	drains := name == "serve" || name == "bench" // they stop the servers that they started
	ended := make(chan error, 1)
	go func() { ended <- chosen.Run() }() // a blocked command is abandoned when the process exits
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

// plainError is an error message without a published code: a mistake on the command line, or the message of a server.
type plainError struct{ text string }

func (e *plainError) Error() string { return e.text }

// fail prints one line, the published code if there is one and a message, and returns the exit status.
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
