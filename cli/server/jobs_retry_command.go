package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/retainwise/millrace/cli"
)

type jobsRetryCommand struct {
	adminFlag
	ID     string `arg:"" optional:"" help:"ID of the prediction; leave it out with --all, --code or --since."`
	All    bool   `help:"Retry every failed and dead prediction."`
	Code   string `help:"Retry predictions that ended with this error code." placeholder:"ERR-…"`
	Since  string `help:"Retry predictions that ended since this age, such as 90m or 2h, or time, such as 2026-03-31T12:00:00Z." placeholder:"WHEN"`
	DryRun bool   `help:"List the predictions that would be retried, and retry none."`
}

// Help returns the text that kong prints above the flags.
func (c *jobsRetryCommand) Help() string {
	return "Predictions are retried in batches, latest first. If the command is interrupted, those listed have been retried."
}

// Run queues a prediction, or those that the flags choose, again.
func (c *jobsRetryCommand) Run(ctx context.Context, std cli.Streams) error {
	several := c.All || c.Code != "" || c.Since != ""
	switch {
	case c.ID == "" && !several:
		return cli.Usage("say which: the id of a prediction, --all, --code or --since")
	case c.ID != "" && (several || c.DryRun):
		return cli.Usage("an id stands alone, without --all, --code, --since and --dry-run")
	case c.All && (c.Code != "" || c.Since != ""):
		return cli.Usage("--all stands alone: --code and --since choose some")
	case c.ID != "":
		return c.change(ctx, std, "/dead-letters/"+url.PathEscape(c.ID)+"/retry")
	}
	query := url.Values{"dry_run": {fmt.Sprint(c.DryRun)}, "all": {fmt.Sprint(c.All)}}
	if c.Code != "" {
		query.Set("code", c.Code)
	}
	if c.Since != "" {
		since, err := parseSince(c.Since, time.Now())
		if err != nil {
			return err
		}
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	return c.retryMany(ctx, std, query)
}

// retryMany requests one batch after the other and prints each.
func (c *jobsRetryCommand) retryMany(ctx context.Context, std cli.Streams, query url.Values) error {
	retried, skipped := 0, 0
	for {
		var page struct {
			Retried    []deadJob `json:"retried"`
			Skipped    int       `json:"skipped"`
			NextCursor string    `json:"next_cursor"`
		}
		if err := c.ask(ctx, http.MethodPost, "/dead-letters/retry?"+query.Encode(), &page); err != nil {
			return err
		}
		now := "queued"
		if c.DryRun {
			now = "would be queued"
		}
		for _, job := range page.Retried {
			why := job.Status
			if job.Error != nil {
				why += " " + job.Error.Code + ": " + job.Error.Message
			}
			if _, err := fmt.Fprintf(std.Out, "%s %s (%s)\n", job.ID, now, why); err != nil {
				return err
			}
		}
		retried, skipped = retried+len(page.Retried), skipped+page.Skipped
		if page.NextCursor == "" {
			_, err := fmt.Fprintf(std.Err, "%d %s, %d skipped: they changed meanwhile or have expired\n",
				retried, now, skipped)
			return err
		}
		query.Set("cursor", page.NextCursor)
	}
}

// parseSince reads an age or a time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	since, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return since, cli.Usage("--since %s is neither an age such as 2h nor a time such as "+
			"2026-03-31T12:00:00Z", text)
	}
	return since, nil
}
