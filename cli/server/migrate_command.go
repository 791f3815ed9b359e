package server

import (
	"context"
	"fmt"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/migrations"
	"github.com/retainwise/millrace/store/schema"
)

// migrateCommand groups the commands for migrations. serve migrates by itself; these are for operators who migrate in a
// separate step.
type migrateCommand struct {
	Up     migrateUpCommand     `cmd:"" help:"Apply pending migrations."`
	Status migrateStatusCommand `cmd:"" help:"List the migrations and their state."`
}

type migrateUpCommand struct {
	DatabaseURL string `required:"" secret:"" env:"MIGRATE_DATABASE_URL,DATABASE_URL" help:"PostgreSQL connection URL with the login that owns the tables." placeholder:"URL"`
}

// Run applies migrations.
func (c *migrateUpCommand) Run(ctx context.Context, std cli.Streams) error {
	if err := schema.Migrate(ctx, c.DatabaseURL, migrations.FS); err != nil {
		return notStarted(err)
	}
	return printMigrations(ctx, std, c.DatabaseURL)
}

type migrateStatusCommand struct {
	DatabaseURL string `required:"" secret:"" env:"MIGRATE_DATABASE_URL,DATABASE_URL" help:"PostgreSQL connection URL." placeholder:"URL"`
}

// Run lists migrations.
func (c *migrateStatusCommand) Run(ctx context.Context, std cli.Streams) error {
	return printMigrations(ctx, std, c.DatabaseURL)
}

func printMigrations(ctx context.Context, std cli.Streams, url string) error {
	list, err := schema.Status(ctx, url, migrations.FS)
	if err != nil {
		return notStarted(err)
	}
	for _, m := range list {
		state := "pending"
		if m.Applied {
			state = "applied"
		}
		if _, err := fmt.Fprintf(std.Out, "%05d %-30s %s\n", m.Version, m.Name, state); err != nil {
			return err
		}
	}
	return nil
}
