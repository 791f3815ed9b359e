// Package codes gives the published error codes to programs that have no server: it imports neither the store nor anything of
// the network. Package serve has the same for servers, with the codes of the store's errors.
package codes

import "github.com/retainwise/millrace/serve/internal/fault"

// Page is what is published of an error code: its title, message and advice.
type Page = fault.ErrorView

// Of returns the published code of an error of a file or a model, "ERR-1004"; "ERR-1500" for an error that has none.
func Of(err error) string { return fault.ExplainLocal(err).Code.String() }

// Line formats an error of a file or a model as one line for a terminal: the published code and a sentence. It may name
// files and internals.
func Line(err error) string { return fault.ExplainLocal(err).Line(err) }

// Details returns the machine-readable part of an error of a file or a model, as answers of the API have it: column, row,
// line and others. It is nil for an error without.
func Details(err error) map[string]any { return fault.ExplainLocal(err).Details }

// PageOf returns what is published of a code, written as "ERR-1004" or "1004"; false if there is no such code.
func PageOf(code string) (Page, bool) {
	c, ok := fault.ParseCode(code)
	return c.Meaning().View(), ok
}

// Pages returns what is published of all codes, ascending.
func Pages() []Page {
	pages := make([]Page, 0, len(fault.Meanings))
	for _, m := range fault.Meanings {
		pages = append(pages, m.View())
	}
	return pages
}
