package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// manCommand prints the manual page.
type manCommand struct{}

// Help returns the text that kong prints above the flags.
func (c *manCommand) Help() string {
	return "To read it: millrace man | man -l -. To install it: millrace man > /usr/local/share/man/man1/millrace.1"
}

// Run prints the page in roff with the macros of man(7).
func (c *manCommand) Run(std Streams, app *kong.Kong) error {
	_, err := fmt.Fprint(std.Out, manualPage(app.Model))
	return err
}

func manualPage(app *kong.Application) string {
	g := readGrammar(app)
	var b strings.Builder
	b.WriteString(".TH MILLRACE 1\n.SH NAME\nmillrace \\- score files of customers for churn\n.SH SYNOPSIS\n.B millrace\n" +
		"COMMAND [flags]\n.SH DESCRIPTION\n" + roff(g.help) + "\n.SH COMMANDS\n")
	for _, n := range g.all()[1:] {
		if len(n.commands) > 0 {
			continue // its commands are listed
		}
		fmt.Fprintf(&b, ".SS %s\n%s\n", roff("millrace "+n.usage), roff(n.help))
		if n.detail != "" {
			b.WriteString(".PP\n" + roff(n.detail) + "\n")
		}
		for _, a := range n.args {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(a.summary), roff(a.help))
		}
		for _, f := range n.flags {
			if f.name != "help" && f.name != "version" && f.name != "errors" { // which all commands have
				b.WriteString(manualFlag(f))
			}
		}
	}
	b.WriteString(".SH EXIT STATUS\n")
	for _, s := range exitStatuses {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", s.status, roff(s.meaning))
	}
	return b.String()
}

func manualFlag(f grammarFlag) string {
	name := "--" + f.name
	if f.placeholder != "" {
		name += "=" + f.placeholder
	}
	text := f.help
	if f.defaultText != "" {
		text += " Default: " + f.defaultText + "."
	}
	if len(f.variables) > 0 {
		text += " Environment: " + strings.Join(f.variables, ", ") + "."
	}
	return fmt.Sprintf(".TP\n.B %s\n%s\n", roff(name), roff(text))
}

// roffLine matches the beginning of a line that roff takes for a request.
var roffLine = regexp.MustCompile(`(?m)^[.']`)

// roff escapes a text.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(strings.Join(strings.Fields(text), " "))
	return roffLine.ReplaceAllString(text, `\&$0`)
}

// helpCommand is replaced by --help before the command line is parsed; it stands in the list of commands.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command, such as score or model verify (default: list all commands)."`
}
