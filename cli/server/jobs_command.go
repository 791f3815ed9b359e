package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/retainwise/millrace/cli"
)

// jobsCommand groups the commands for operators that manage predictions. They use the admin listener of a running server
// rather than the database, as a private PostgreSQL cannot be reached from outside.
type jobsCommand struct {
	Dead   jobsDeadCommand   `cmd:"" help:"List failed and dead predictions, latest first."`
	Retry  jobsRetryCommand  `cmd:"" help:"Retry one or many failed, dead or cancelled predictions from scratch."`
	Cancel jobsCancelCommand `cmd:"" help:"Cancel a prediction; rows that are scored already stay readable."`
}

// adminFlag is the address of the admin listener.
type adminFlag struct {
	Admin string `env:"MILLRACE_ADMIN_URL" default:"http://127.0.0.1:9090" help:"URL of the admin listener of a running server." placeholder:"URL"`
}

type jobsDeadCommand struct {
	adminFlag
	Limit int `default:"20" help:"Maximum number of predictions to list."`
}

type jobsCancelCommand struct {
	adminFlag
	ID string `arg:"" help:"ID of the prediction."`
}

// deadJob is an entry of the dead-letter list.
type deadJob struct {
	ID     string `json:"prediction_id"`
	Status string `json:"status"`
	Model  string `json:"model"`
	Error  *struct {
		Code    string `json:"code"`
		Stage   string `json:"stage"`
		Message string `json:"message"`
	} `json:"error"`
	FinishedAt string `json:"finished_at"`
}

// Run lists failed and dead predictions.
func (c *jobsDeadCommand) Run(ctx context.Context, std cli.Streams) error {
	table := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	cursor, left := "", c.Limit
	for {
		var page struct {
			DeadLetters []deadJob `json:"dead_letters"`
			NextCursor  string    `json:"next_cursor"`
		}
		if err := c.ask(ctx, http.MethodGet, "/dead-letters?cursor="+url.QueryEscape(cursor), &page); err != nil {
			return err
		}
		for _, job := range page.DeadLetters[:min(left, len(page.DeadLetters))] {
			why := "\t\t"
			if job.Error != nil {
				why = job.Error.Code + "\t" + job.Error.Stage + "\t" + job.Error.Message
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", job.ID, job.Status, job.FinishedAt, job.Model, why)
		}
		left -= len(page.DeadLetters)
		if cursor = page.NextCursor; cursor == "" || left <= 0 {
			return table.Flush()
		}
	}
}

// Run cancels a prediction.
func (c *jobsCancelCommand) Run(ctx context.Context, std cli.Streams) error {
	return c.change(ctx, std, "/predictions/"+url.PathEscape(c.ID)+"/cancel")
}

// change posts to path and prints the new status of the prediction.
func (a adminFlag) change(ctx context.Context, std cli.Streams, path string) error {
	var now struct {
		ID     string `json:"prediction_id"`
		Status string `json:"status"`
	}
	if err := a.ask(ctx, http.MethodPost, path, &now); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.Out, "%s %s\n", now.ID, now.Status)
	return err
}

const (
	operatorHeader = "Millrace-Operator" // what changes something needs it
	adminTimeout   = 15 * time.Second
	adminAnswerMax = 4 << 20
)

// ask sends a request to the admin listener and decodes its answer, or returns its error.
func (a adminFlag) ask(ctx context.Context, method, path string, answer any) error {
	return a.send(ctx, method, path, nil, adminTimeout, answer)
}

// send is [adminFlag.ask] with a body and a timeout.
func (a adminFlag) send(ctx context.Context, method, path string, body io.Reader, timeout time.Duration, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.Admin, "/")+path, body)
	if err != nil {
		return cli.Usage("--admin %s is not a URL", a.Admin)
	}
	req.Header.Set(operatorHeader, "yes")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return cli.Plain(cli.ExitUnavailable, "no server answers at %s: start one, or give its address with --admin", a.Admin)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, adminAnswerMax))
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusOK {
		return json.Unmarshal(text, answer)
	}
	if refused := refusal(text); refused != nil {
		return refused
	}
	return cli.Plain(cli.ExitUnavailable, "what answers at %s is not the admin listener of millrace", a.Admin)
}

// refusal returns the published code and message of an error answer; nil if it is not from millrace.
func refusal(answer []byte) *cli.CodedError {
	var refused struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(answer, &refused); err != nil || refused.Error.Code == "" {
		return nil
	}
	return &cli.CodedError{Code: refused.Error.Code, Text: refused.Error.Message}
}
