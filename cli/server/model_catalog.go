package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/retainwise/millrace/cli"
	"github.com/retainwise/millrace/engine"
)

// pushTimeout bounds sending an archive, and its checks by the server.
const pushTimeout = 5 * time.Minute

type pushCommand struct {
	adminFlag
	Bundle string `arg:"" name:"bundle" help:"Bundle directory, or a zip archive of one."`
}

// Help returns the text that kong prints above the flags.
func (c *pushCommand) Help() string {
	return "The bundle is checked here and again by the server, golden rows included, before it is stored. Every process of " +
		"the installation has it within seconds. Uploads name it with ?model=NAME@VERSION; what an upload without a model " +
		"gets does not change. The same bundle again changes nothing."
}

// Run checks a bundle and sends its archive.
func (c *pushCommand) Run(ctx context.Context, std cli.Streams) error {
	b, archive, err := openPushed(c.Bundle)
	if err != nil {
		return err
	}
	cli.Warn(std, b.Warnings())
	var done struct {
		Model    string `json:"model"`
		Version  string `json:"version"`
		SHA256   string `json:"sha256"`
		State    string `json:"state"`
		Existed  bool   `json:"existed"`
		NewAlias string `json:"new_alias"`
	}
	if err := c.send(ctx, http.MethodPost, "/models", bytes.NewReader(archive), pushTimeout, &done); err != nil {
		return err
	}
	ref := done.Model + "@" + done.Version
	text := ref + " pushed"
	switch {
	case done.Existed && done.State != "active":
		text = ref + " exists already and is " + done.State + ": millrace model retire --undo " + ref
	case done.Existed:
		text = ref + " exists already: nothing has changed"
	}
	if done.NewAlias != "" {
		text += ", as the first " + done.NewAlias + ": ?model=" + done.NewAlias + " names it"
	}
	_, err = fmt.Fprintf(std.Out, "%s (sha256 %s%s)\n", text, done.SHA256, cli.VerifiedSelf(b))
	return err
}

// openPushed opens a bundle with every check of it, and returns its archive.
func openPushed(path string) (b *engine.Bundle, archive []byte, err error) {
	if cli.IsFile(path) {
		if archive, err = os.ReadFile(path); err != nil {
			return nil, nil, cli.Caused(cli.ExitNoInput, err)
		}
		b, err = engine.OpenArchive(archive)
		return b, archive, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, nil, cli.Caused(cli.ExitNoInput, err)
	}
	if b, err = engine.OpenBundleKept(os.DirFS(path)); err != nil {
		return nil, nil, err
	}
	archive, err = b.Archive()
	return b, archive, err
}

type listCommand struct{ adminFlag }

// modelCatalog is what the admin listener says of pushed models.
type modelCatalog struct {
	Versions []struct {
		Model, Version, SHA256, State string
		Aliases                       []string
		Predictions                   int
	}
	Aliases []struct {
		Alias, Model, Version, Since, Before string
		Shadowed                             bool
	}
	Defaults []struct{ User, Dataset, Model, Since string }
	Bundles  []struct{ Name, Version, SHA256 string }
}

// Run prints versions, aliases, defaults and the bundles in use, each as a table.
func (c *listCommand) Run(ctx context.Context, std cli.Streams) error {
	var list modelCatalog
	if err := c.ask(ctx, http.MethodGet, "/models", &list); err != nil {
		return err
	}
	table := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) }
	line("MODEL", "SHA256", "STATE", "PREDICTIONS", "ALIASES", "DEFAULT FOR")
	for _, v := range list.Versions {
		line(v.Model+"@"+v.Version, short(v.SHA256), v.State, countText(v.Predictions), orDash(v.Aliases),
			orDash(list.defaultsOf(append(v.Aliases, v.Model+"@"+v.Version))))
	}
	for _, b := range list.Bundles {
		if !list.pushed(b.SHA256) {
			line(b.Name+"@"+b.Version, short(b.SHA256), "bundle", "-", "-", "-")
		}
	}
	if len(list.Aliases) > 0 {
		line("")
		line("ALIAS", "NAMES", "SINCE", "BEFORE", "")
	}
	for _, a := range list.Aliases {
		note := ""
		if a.Shadowed {
			note = "a bundle in use has this name and comes first"
		}
		line(a.Alias, a.Model+"@"+a.Version, a.Since, orDash(strings.Fields(a.Before)), note)
	}
	return table.Flush()
}

func (l *modelCatalog) pushed(digest string) bool {
	for _, v := range l.Versions {
		if v.SHA256 == digest {
			return true
		}
	}
	return false
}

// defaultsOf lists for which uploads one of the names is the default.
func (l *modelCatalog) defaultsOf(names []string) (scopes []string) {
	for _, d := range l.Defaults {
		for _, name := range names {
			if d.Model == name {
				scopes = append(scopes, scopeText(d.User, d.Dataset))
			}
		}
	}
	return scopes
}

func scopeText(user, dataset string) string {
	switch {
	case user == "" && dataset == "":
		return "all"
	case dataset == "":
		return "user " + user
	case user == "":
		return "dataset " + dataset
	}
	return "user " + user + " dataset " + dataset
}

// usesMax is where the server stops counting.
const usesMax = 10_000

func countText(n int) string {
	if n >= usesMax {
		return fmt.Sprintf("%d+", usesMax)
	}
	return fmt.Sprint(n)
}

func short(digest string) string { return digest[:min(12, len(digest))] }

func orDash(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ", ")
}

// catalogChange is an alias, a default or a version after a change.
type catalogChange struct {
	Model, Before string
	Changed       bool
}

type aliasCommand struct {
	adminFlag
	Remove bool   `help:"Remove the alias."`
	Alias  string `arg:"" help:"Alias, such as champion or stable."`
	Model  string `arg:"" optional:"" help:"What it names: NAME@VERSION, a name or another alias. Not with --remove."`
}

// Run sets or removes an alias.
func (c *aliasCommand) Run(ctx context.Context, std cli.Streams) error {
	if c.Remove == (c.Model != "") {
		return cli.Usage("say what the alias names, such as churn@2, or --remove")
	}
	method, path := http.MethodPost, "/model-aliases/"+url.PathEscape(c.Alias)+"?model="+url.QueryEscape(c.Model)
	if c.Remove {
		method = http.MethodDelete
	}
	var done catalogChange
	if err := c.ask(ctx, method, path, &done); err != nil {
		return err
	}
	return done.print(std.Out, c.Alias)
}

func (d catalogChange) print(out io.Writer, what string) error {
	text := what + " names " + d.Model
	switch {
	case d.Model == "":
		text = what + " removed"
	case !d.Changed:
		text += " already: nothing has changed"
	}
	if d.Changed && d.Before != "" {
		text += ", before " + d.Before
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

type rollbackCommand struct {
	adminFlag
	Alias string `arg:"" help:"Alias to take back."`
}

// Run takes an alias back.
func (c *rollbackCommand) Run(ctx context.Context, std cli.Streams) error {
	var done catalogChange
	if err := c.ask(ctx, http.MethodPost, "/model-aliases/"+url.PathEscape(c.Alias)+"/rollback", &done); err != nil {
		return err
	}
	return done.print(std.Out, c.Alias)
}

type defaultCommand struct {
	adminFlag
	User    string `help:"Only for uploads of the user with this subject, the sub of their tokens." placeholder:"SUBJECT"`
	Dataset string `help:"Only for uploads into this dataset." placeholder:"NAME"`
	Remove  bool   `help:"Remove the default."`
	Model   string `arg:"" optional:"" help:"An alias, with which the default moves, a name or NAME@VERSION. Not with --remove."`
}

// Run sets or removes a default.
func (c *defaultCommand) Run(ctx context.Context, std cli.Streams) error {
	if c.Remove == (c.Model != "") {
		return cli.Usage("say what the default is, such as champion, or --remove")
	}
	method := http.MethodPost
	query := url.Values{"user": {c.User}, "dataset": {c.Dataset}}
	if c.Remove {
		method = http.MethodDelete
	} else {
		query.Set("model", c.Model)
	}
	var done catalogChange
	if err := c.ask(ctx, method, "/model-defaults?"+query.Encode(), &done); err != nil {
		return err
	}
	return done.print(std.Out, "the default for "+scopeText(c.User, c.Dataset))
}

type retireCommand struct {
	adminFlag
	Undo  bool   `help:"Take the retirement back."`
	Model string `arg:"" help:"Version, such as churn@1."`
}

// Run retires a version, or takes that back.
func (c *retireCommand) Run(ctx context.Context, std cli.Streams) error {
	var done catalogChange
	path := "/models/" + url.PathEscape(c.Model) + "/retire?undo=" + fmt.Sprint(c.Undo)
	if err := c.ask(ctx, http.MethodPost, path, &done); err != nil {
		return err
	}
	text := "retired"
	switch {
	case c.Undo && done.Changed:
		text = "active again"
	case c.Undo:
		text = "was not retired: nothing has changed"
	case !done.Changed:
		text = "was retired before: nothing has changed"
	}
	_, err := fmt.Fprintf(std.Out, "%s %s\n", done.Model, text)
	return err
}
