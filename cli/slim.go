package cli

import "github.com/alecthomas/kong"

// ScoringCommands read rows.
type ScoringCommands struct {
	Score    scoreCommand    `cmd:"" help:"Score a CSV file without a server or a database."`
	Validate validateCommand `cmd:"" help:"Check a CSV file and report what is wrong with it, without scoring."`
}

// BundleCommands make and check bundles.
type BundleCommands struct {
	Bundle bundleCommand `cmd:"" help:"Make a bundle of a model file, or check one."`
}

// AboutCommands say something about the program.
type AboutCommands struct {
	Explain    explainCommand    `cmd:"" help:"Explain an error code: what it means and what you can do."`
	Version    versionCommand    `cmd:"" help:"Print version, commit, Go release and the kernels in use."`
	Completion completionCommand `cmd:"" help:"Print a completion script for a shell."`
	Man        manCommand        `cmd:"" help:"Print the manual page (roff), made from the commands and flags."`
	HelpOf     helpCommand       `cmd:"" name:"help" help:"Print the help of a command, as COMMAND --help does."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version in one line."`
	Errors      string           `enum:"text,json" default:"text" help:"How errors are printed: text, or json (one line with code, message and details)."`
}

func (c *AboutCommands) errorsAreJSON() bool { return c.Errors == "json" }

// slimCommands are the commands of the slim program.
type slimCommands struct {
	ScoringCommands
	Model ModelCommands `cmd:"" help:"Inspect, verify and run model files and bundles."`
	BundleCommands
	AboutCommands
}

// Slim returns the program that has the commands for files only: no server, database or object store. The Python package
// brings it.
func Slim() Program {
	return Program{
		Commands: new(slimCommands), Faults: fileFaults{},
		Hint: "This is the slim program, for files only: serve and the commands for servers are in the full millrace",
	}
}
