package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/retainwise/millrace/cli"
)

// modelCommand groups the commands for models: those for files, and those that ask a running server.
type modelCommand struct {
	cli.ModelCommands
	// These ask a running server; the others read files.
	Push     pushCommand     `cmd:"" help:"Store a bundle in a running server as a version that uploads may name."`
	List     listCommand     `cmd:"" help:"List pushed versions, aliases and defaults."`
	Alias    aliasCommand    `cmd:"" help:"Make an alias, such as champion, name a version."`
	Rollback rollbackCommand `cmd:"" help:"Make an alias name what it named before."`
	Default  defaultCommand  `cmd:"" help:"Set what uploads get that name no model."`
	Retire   retireCommand   `cmd:"" help:"Stop new predictions with a version; running ones end."`
	Withdraw withdrawCommand `cmd:"" help:"Withdraw a model for good: fail the predictions that wait for it."`
}

type withdrawCommand struct {
	adminFlag
	SHA256 string `arg:"" name:"sha256" help:"Sha256 of the bundle, as in model_sha256 of a prediction."`
}

// Run withdraws a model.
func (c *withdrawCommand) Run(ctx context.Context, std cli.Streams) error {
	var done struct {
		SHA256 string `json:"sha256"`
		Failed int    `json:"predictions_failed"`
	}
	if err := c.ask(ctx, http.MethodPost, "/models/"+url.PathEscape(c.SHA256)+"/withdraw", &done); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.Out, "%s withdrawn, %d predictions failed\n", done.SHA256, done.Failed)
	return err
}
