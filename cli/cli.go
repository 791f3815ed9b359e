// Package cli is the frame of the command line, and the commands that need files only: a file for each, with its flags,
// tables and progress. It imports no store and nothing of the network, so that the slim program (cli/slim) is small. Commands
// that run a server or talk to one are in cli/server, which makes the full program.
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

// Program is a set of commands with what they have in common.
type Program struct {
	// Commands is a pointer to a struct, as kong reads it. It is filled when a command line is parsed, so a Program runs once.
	Commands any
	Faults   Faults
	Options  []kong.Option // further ones of the parser
	Hint     string        // a sentence about commands that it has not; may be empty

	json bool // errors are printed as JSON
}

// Streams are the standard streams of a command, passed in so that tests can replace them.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the command of the process's arguments until it ends, or SIGINT or SIGTERM cancels it, and returns the exit
// status.
func (p Program) Main() (status int) {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	return p.Run(ctx, os.Args[1:], Streams{os.Stdin, os.Stdout, os.Stderr})
}

// Run parses and runs one command with the given streams and returns the exit status. It does not handle signals. An error
// is a line on standard error, with advice below it if it has a published code, and one more line for each incomplete output
// that could not be removed. A command that a signal ended returns 128 plus the signal's number, except serve, which drains
// and returns 0.
func (p Program) Run(ctx context.Context, args []string, std Streams) (status int) {
	files := new(outputs)
	std.Out = printer{std.Out}
	exited := -1
	parser, err := kong.New(p.Commands, append([]kong.Option{
		kong.Name("millrace"),
		kong.Description("Streaming batch scorer for churn models."),
		kong.Writers(std.Out, std.Err),
		kong.Help(printHelp),
		kong.Vars{"version": versionLine()},
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std, files),
	}, p.Options...)...)
	if err != nil {
		return p.fail(std, err)
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
		return p.fail(std, p.misused(err))
	}
	if c, ok := p.Commands.(interface{ errorsAreJSON() bool }); ok {
		p.json = c.errorsAreJSON()
	}
	name, _, _ := strings.Cut(chosen.Command(), " ")
	drains := name == "serve" || name == "bench" // they stop the servers that they started
	ended := make(chan error, 1)
	go func() { ended <- chosen.Run() }() // a blocked command is abandoned when the process exits
	if err = await(ctx, ended, drains); err == nil {
		return 0
	}
	if isTerminal(std.Err) {
		_, _ = fmt.Fprint(std.Err, eraseLine) // of progress
	}
	if i := interrupted(ctx); i != nil && (name != "serve" || errors.Is(err, context.Canceled)) {
		files.abandon()
		_, _ = fmt.Fprintln(std.Err, "millrace: interrupted")
		status = i.status()
	} else {
		_ = files.finish(false)
		status = p.fail(std, err)
	}
	for _, name := range files.spoiled {
		_, _ = fmt.Fprintf(std.Err, "millrace: %s is not whole\n", name)
	}
	return status
}

// misused is the error of a command line that cannot be parsed.
func (p Program) misused(err error) error {
	hint := ""
	if parse := (*kong.ParseError)(nil); p.Hint != "" && errors.As(err, &parse) &&
		strings.HasPrefix(err.Error(), "unexpected argument") {
		if n := parse.Context.Selected(); n == nil || len(n.Children) > 0 { // in place of a command
			hint = ". " + p.Hint
		}
	}
	return Usage("%v; see --help%s", err, hint)
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
