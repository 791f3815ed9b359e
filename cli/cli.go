// Package cli is the command line: a file for each command, with its flags, tables and progress.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// commandLine holds all commands of the program. Flags of servers have environment variables as well.
type commandLine struct {
	Serve      serveCommand      `cmd:"" help:"Serve the API, score uploads, or both."`
	Score      scoreCommand      `cmd:"" help:"Score a CSV file without a server or a database."`
	Validate   validateCommand   `cmd:"" help:"Check a CSV file and report what is wrong with it, without scoring."`
	Model      modelCommand      `cmd:"" help:"Inspect, verify and run model files and bundles."`
	Bundle     bundleCommand     `cmd:"" help:"Make a bundle of a model file, or check one."`
	Jobs       jobsCommand       `cmd:"" help:"List failed and dead predictions, retry them, or cancel one."`
	Store      storeCommand      `cmd:"" help:"Adopt the object store, compare it with the database, list orphaned objects."`
	Migrate    migrateCommand    `cmd:"" help:"Apply or list database migrations."`
	Explain    explainCommand    `cmd:"" help:"Explain an error code: what it means and what you can do."`
	Version    versionCommand    `cmd:"" help:"Print version, commit, Go release and the kernels in use."`
	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`
	Man        manCommand        `cmd:"" help:"Print the manual page (roff), made from the commands and flags."`
	HelpOf     helpCommand       `cmd:"" name:"help" help:"Print the help of a command, as COMMAND --help does."`
	Bench      benchCommand      `cmd:"" help:"Benchmark scoring, explaining, reading and serving on this machine, compared with alternatives."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version in one line."`
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

// runCommand parses and runs one command and returns the exit status. An error is a line on standard error, with advice
// below it if it has a published code, and one more line for each incomplete output that could not be removed. A command
// that a signal ended returns 128 plus the signal's number, except serve, which drains and returns 0.
func runCommand(ctx context.Context, args []string, std streams) (status int) {
	var cmd commandLine
	files := new(outputs)
	std.out = printer{std.out}
	exited := -1
	parser, err := kong.New(&cmd,
		kong.Name("millrace"),
		kong.Description("Streaming batch scorer for churn models."),
		kong.Writers(std.out, std.err),
		kong.Help(printHelp),
		kong.Vars{"version": versionLine()},
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, files),
		kong.Resolvers(secretFiles(os.Getenv)),
	)
	if err != nil {
		return fail(std, err)
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help": // kong prints the help of the command that it has parsed
		args = append(slices.Clone(args[1:]), "--help")
	}
	chosen, err := parser.Parse(args)
	if exited >= 0 { // --help has been printed
		return exited
	}
	if err != nil {
		return fail(std, usage("%v; see --help", err))
	}
	name, _, _ := strings.Cut(chosen.Command(), " ")
	drains := name == "serve" || name == "bench" // they stop the servers that they started
	ended := make(chan error, 1)
	go func() { ended <- chosen.Run() }() // a blocked command is abandoned when the process exits
	if err = await(ctx, ended, drains); err == nil {
		return 0
	}
	if isTerminal(std.err) {
		_, _ = fmt.Fprint(std.err, eraseLine) // of progress
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

// printHelp prints the help of a command, with the exit statuses that all commands have.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	t := table{}
	for _, s := range exitStatuses {
		t.add(s.status, s.meaning)
	}
	_, err := fmt.Fprint(ctx.Stdout, "\nExit status:\n"+t.leftAligned())
	return err
}
