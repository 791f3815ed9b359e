package engine

import (
	"fmt"
	"slices"
)

// Lint says what a person should still look at in a bundle that passes all checks; nil if there is nothing.
func (b *Bundle) Lint() []string {
	f := b.file
	var remarks []string
	add := func(format string, args ...any) { remarks = append(remarks, fmt.Sprintf(format, args...)) }
	if b.Verified() == VerifiedSelf {
		add("verified: self: the golden rows were scored by millrace, not by the library that trained the model")
	}
	if f.Title == "" {
		add("title: missing, people see the name %q", f.Name)
	}
	if f.ID == "" {
		add("id: missing, so that results name rows, not customers")
	}
	if f.Value == "" {
		add("value: missing, so that no losses are computed")
	}
	if f.Training.Rows == 0 {
		add("training: missing, so that drift is not noticed")
	}
	if len(f.Training.ScoreShares) > 0 {
		b.lintBands(add)
	}
	for i := range f.Columns {
		b.lintColumn(&f.Columns[i], add)
	}
	return remarks
}

// lintBands looks for bands that no training row is in, as far as the shares of the scores show.
func (b *Bundle) lintBands(add func(string, ...any)) {
	shares, from := b.file.Training.ScoreShares, 0.0
	for _, band := range b.bands {
		share := 0.0
		for i, s := range shares {
			low, high := float64(i)/float64(len(shares)), float64(i+1)/float64(len(shares))
			if high > from && low < band.Below {
				share += s
			}
		}
		if share == 0 {
			add("bands: no training row is in %q", band.Name)
		}
		from = band.Below
	}
}

func (b *Bundle) lintColumn(c *bundleColumn, add func(string, ...any)) {
	isFeature := slices.ContainsFunc(b.features, func(f featureColumn) bool { return b.schema.Columns[f.column].Name == c.Name })
	if !isFeature {
		return
	}
	if c.Label == "" {
		add("%s: no label, so that explanations have the column's name", c.Name)
	}
	if c.Typical == "" {
		add("%s: no typical value, so that explanations cannot say high or low", c.Name)
	}
	if c.Type == "number" && (c.Min == nil || c.Max == nil) {
		add("%s: no min and max, so that values that training never had are not noticed", c.Name)
	}
	if _, known := b.file.Training.Columns[c.Name]; !known && b.file.Training.Rows > 0 {
		add("%s: no training shares, so that its drift is not noticed", c.Name)
	}
	if c.Type == "category" && !slices.Contains(append(slices.Clone(c.Categories), ""), c.Typical) {
		add("%s: typical %q is none of the categories", c.Name, c.Typical)
	}
}
