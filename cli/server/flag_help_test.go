package server

import (
	"regexp"
	"testing"

	"github.com/alecthomas/kong"
)

// backReference matches words of a help text that make sense only below the flag before.
var backReference = regexp.MustCompile(`(?i)\b(so are|the others|of these|of those|such an?|that address|signs? them)\b`)

// TestFlagHelpStandsAlone checks that the help of every command, flag and argument is a sentence that can be read by
// itself: flags are found by searching, and their order is not kept in docs/operations.md.
func TestFlagHelpStandsAlone(t *testing.T) {
	parser, err := kong.New(new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	sentence := regexp.MustCompile(`^[A-Z].*\.$`)
	check := func(name, help string) {
		if !sentence.MatchString(help) || backReference.MatchString(help) {
			t.Errorf("%s: %q", name, help)
		}
	}
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		switch n := node.(type) {
		case *kong.Flag:
			if n.Name != "help" {
				check("--"+n.Name, n.Help)
			}
		case *kong.Positional:
			check("<"+n.Name+">", n.Help)
		case *kong.Node:
			check(n.Path(), n.Help)
			seen := map[string]string{}
			for _, f := range n.Flags {
				if other := seen[f.Help]; other != "" {
					t.Errorf("%s: --%s and --%s have the same help: %q", n.Path(), other, f.Name, f.Help)
				}
				seen[f.Help] = f.Name
			}
		}
		return next(nil)
	})
}
