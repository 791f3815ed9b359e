// Package server has the commands that run a server, measure one or talk to one, and makes the full program of them and of
// the commands of package cli.
package server

import (
	"os"

	"github.com/alecthomas/kong"

	"github.com/retainwise/millrace/cli"
)

// commandLine holds all commands of the full program. Flags of servers have environment variables as well.
type commandLine struct {
	Serve serveCommand `cmd:"" help:"Serve the API, score uploads, or both."`
	cli.ScoringCommands
	Model modelCommand `cmd:"" help:"Inspect, verify and run model files and bundles."`
	cli.BundleCommands
	Jobs    jobsCommand    `cmd:"" help:"List failed and dead predictions, retry them, or cancel one."`
	Store   storeCommand   `cmd:"" help:"Adopt the object store, compare it with the database, list orphaned objects."`
	Migrate migrateCommand `cmd:"" help:"Apply or list database migrations."`
	cli.AboutCommands
	Bench benchCommand `cmd:"" help:"Benchmark scoring, explaining, reading and serving on this machine, compared with alternatives."`
}

// Full returns the program with all commands.
func Full() cli.Program {
	return cli.Program{
		Commands: new(commandLine), Faults: faults{},
		Options: []kong.Option{kong.Resolvers(secretFiles(os.Getenv))},
	}
}
