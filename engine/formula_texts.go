package engine

import (
	"slices"
	"strings"

	"github.com/retainwise/millrace/ingest"
)

// hasFormulas reports whether a text of the bundle could begin a formula where the result columns have it: then they are
// guarded row by row, which takes time.
func (f *bundleFile) hasFormulas() bool {
	for _, band := range f.Bands {
		if ingest.IsFormula(band.Name) {
			return true
		}
	}
	return slices.ContainsFunc(f.Columns, func(c bundleColumn) bool { return c.hasFormulas() })
}

func (c *bundleColumn) hasFormulas() bool {
	p := &c.Phrases
	texts := []string{c.Name, c.Label, c.Typical, c.Unit, p.High, p.Low, p.Missing, p.Value}
	for _, phrase := range p.Values {
		texts = append(texts, phrase)
	}
	if slices.ContainsFunc(append(texts, c.Categories...), ingest.IsFormula) {
		return true
	}
	// A phrase that begins with a number begins with a sign if the number is below 0.
	return c.Type == "number" && slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(text, "{value}") })
}
