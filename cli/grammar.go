package cli

import (
	"strings"

	"github.com/alecthomas/kong"
)

// grammarNode is a command as completion scripts and the manual page need it.
type grammarNode struct {
	path     string // "millrace/model/verify"
	help     string
	detail   string // further help; may be empty
	usage    string // "model verify <model>"
	commands []*grammarNode
	flags    []grammarFlag
	args     []grammarArgument
}

// grammarFlag is a flag of a command or of one above it.
type grammarFlag struct {
	name        string // without dashes
	placeholder string // empty for a flag without a value
	values      []string
	help        string
	variables   []string // environment variables
	defaultText string
}

// grammarArgument is a positional argument.
type grammarArgument struct {
	summary, help string
	values        []string
}

// readGrammar returns the commands of a parser as a tree.
func readGrammar(app *kong.Application) *grammarNode { return readNode(app.Node, app.Name, nil) }

func readNode(n *kong.Node, path string, inherited []grammarFlag) *grammarNode {
	g := &grammarNode{path: path, help: n.Help, detail: n.Detail, usage: strings.TrimSpace(n.Summary())}
	for _, f := range n.Flags {
		if !f.Hidden {
			g.flags = append(g.flags, readFlag(f))
		}
	}
	g.flags = append(g.flags, inherited...)
	for _, p := range n.Positional {
		a := grammarArgument{summary: p.Summary(), help: p.Help}
		if p.Enum != "" {
			a.values = p.EnumSlice()
		}
		g.args = append(g.args, a)
	}
	for _, child := range n.Children {
		if !child.Hidden {
			g.commands = append(g.commands, readNode(child, path+"/"+child.Name, g.flags))
		}
	}
	return g
}

func readFlag(f *kong.Flag) grammarFlag {
	g := grammarFlag{name: f.Name, help: f.Help, variables: f.Envs, defaultText: f.Default}
	if f.Enum != "" {
		g.values = f.EnumSlice()
	}
	if !f.IsBool() {
		g.placeholder = strings.Trim(f.FormatPlaceHolder(), `"`)
	}
	return g
}

// all returns the node and all below it, each before its commands.
func (g *grammarNode) all() []*grammarNode {
	list := []*grammarNode{g}
	for _, c := range g.commands {
		list = append(list, c.all()...)
	}
	return list
}

// words returns what may follow the command instead of a flag: its commands, or the values of its arguments. Nothing means
// names of files.
func (g *grammarNode) words() []string {
	var words []string
	for _, c := range g.commands {
		words = append(words, c.name())
	}
	for _, a := range g.args {
		words = append(words, a.values...)
	}
	return words
}

// name returns the command's own name.
func (g *grammarNode) name() string { return g.path[strings.LastIndexByte(g.path, '/')+1:] }
