package draft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// Kinds of columns in bundle.yaml.
const (
	text     = "text"
	number   = "number"
	category = "category"
)

// column is what bundle.yaml says of a column.
type column struct {
	name, kind string
	feature    *forest.Feature // nil if the model does not read it
	importance float64
	categories []string
	spellings  map[string]string
	missing    []string
	wording    wording
	required   bool
	notEmpty   bool // a row without a value is refused
	known      bool // a row with another category is refused

	// Measured on the training rows.
	min, max float64 // NaN without a number
	typical  string
	absent   float64 // share of rows without a value
	edges    []float64
	shares   []float64
}

// missingWords are the texts that data frames, databases and spreadsheets write for "no value".
var missingWords = []string{"NA", "N/A", "n/a", "null", "NULL", "NaN", "nan", "None", "-"}

// readColumns describes the id, every feature of the model and the value by the model and the words in the table.
func (d *description) readColumns(ctx context.Context, data Table) error {
	in, closeTable, err := data()
	if err != nil {
		return err
	}
	defer closeTable()
	names, err := d.featureNames(in.Header)
	if err != nil {
		return err
	}
	words, err := readWords(ctx, in, names)
	if err != nil {
		return err
	}
	if d.ID == "" {
		d.notes.assume("no column names the customer: give one with --id, or results name rows only")
	} else {
		d.columns = append(d.columns, column{name: d.ID, kind: text, required: true, wording: wordingOf(d.ID)})
	}
	for i := range d.model.Features {
		c, err := d.featureColumn(i, names[i], words[i])
		if err != nil {
			return err
		}
		d.columns = append(d.columns, c)
	}
	if d.Value == "" {
		d.notes.assume("no column has the revenue at stake: give one with --value, or losses are not computed")
	} else if !slices.Contains(names, d.Value) {
		d.columns = append(d.columns, column{name: d.Value, kind: number, required: true, missing: missingWords, wording: wordingOf(d.Value)})
	}
	return nil
}

// featureNames returns the column of each feature. A model without names reads the columns of the table in their order,
// without the id and the label.
func (d *description) featureNames(h ingest.Header) ([]string, error) {
	names := make([]string, len(d.model.Features))
	generated := true
	for i, f := range d.model.Features {
		names[i] = f.Name
		generated = generated && (f.Name == "" || f.Name == fmt.Sprintf("Column_%d", i) || f.Name == fmt.Sprintf("f%d", i)) &&
			!slices.Contains(h.Names, f.Name)
	}
	if !generated {
		return names, nil
	}
	inputs := slices.DeleteFunc(slices.Clone(h.Names), func(name string) bool { return name == d.ID || name == d.Label })
	if len(inputs) == len(names)+1 && d.Value != "" {
		inputs = slices.DeleteFunc(inputs, func(name string) bool { return name == d.Value })
	}
	if len(inputs) != len(names) {
		return nil, fmt.Errorf("the model names none of its %d columns, and the table has %d beside the id and the label: leave in "+
			"the table only what the model was trained on, in that order", len(names), len(inputs))
	}
	d.notes.assume("the model names no columns: it reads those of the table in their order, from %s to %s", inputs[0], inputs[len(inputs)-1])
	return inputs, nil
}

// featureColumn describes the column of feature i.
func (d *description) featureColumn(i int, name string, w *columnWords) (column, error) {
	f := &d.model.Features[i]
	c := column{name: name, kind: number, feature: f, importance: d.model.importance[i], wording: wordingOf(name), missing: missingWords}
	c.required = d.model.reads[i] || !slices.ContainsFunc(d.model.importance, func(x float64) bool { return x > 0 })
	if !c.required {
		d.notes.assume("%s: no tree asks for it, so that a file may lack it", name)
	}
	c.notEmpty, c.known = d.Facts.Columns[name].NotEmpty, d.Facts.Columns[name].RejectUnknown
	stated, isStated := d.Categories[name]
	if !isStated && len(f.Categories) == 0 {
		stated, isStated = d.Facts.Categories[name]
	}
	switch unlisted := len(f.Categories) == 0 && (w.isText() || f.Categorical && d.model.CategoriesLost != ""); {
	case isStated && len(f.Categories) > 0:
		return c, fmt.Errorf("column %q: the model file lists its categories itself: %s", name, listed(f.Categories))
	case isStated:
		c.categories = stated
	case unlisted && !d.SortedCategories:
		return c, fmt.Errorf("column %q: the model reads codes of categories whose names its file does not have (%s). If "+
			"pandas, LabelEncoder or OrdinalEncoder made the codes of texts, their order is sorted: choose sorted categories. "+
			"Otherwise name them in the order of training", name, cmp.Or(d.model.CategoriesLost, listed(w.sorted())))
	case unlisted:
		c.categories = w.sorted()
		d.notes.assume("%s: the categories of the table in sorted order, as was stated: %s", name, listed(c.categories))
		if w.empty > 0 {
			d.notes.look("%s: %d empty cells count as missing; if training made a category of the empty text, all others are one "+
				"off: then name the categories of the model anew and train again", name, w.empty)
		}
	case len(f.Categories) > 0:
		c.categories, c.spellings = f.Categories, f.Spellings()
	default:
		d.lookAtWords(name, w)
		return c, nil
	}
	c.kind = category
	if c.known {
		d.notes.assume("%s: a row with another category is refused: the model, or a step before it, refuses it too, or treats it "+
			"otherwise than a missing value, which a bundle cannot", name)
	}
	if err := c.checkCategories(d.model); err != nil {
		return c, fmt.Errorf("column %q: %w", name, err)
	}
	c.missing = slices.DeleteFunc(slices.Clone(missingWords), func(word string) bool {
		return slices.Contains(c.categories, word) || c.spellings[word] != ""
	})
	return c, nil
}

// checkCategories refuses categories that a table cannot name, and fewer than the model's splits speak of.
func (c *column) checkCategories(m *model) error {
	seen := map[string]bool{}
	for _, text := range c.categories {
		switch {
		case text == "":
			return errors.New("one of its categories is the empty text, which a table cannot tell from a missing value: name it in training")
		case seen[text]:
			return fmt.Errorf("two of its categories read %q", text)
		}
		seen[text] = true
	}
	if highest := m.highestCode(c.feature); highest >= len(c.categories) {
		return fmt.Errorf("the model was trained on %d categories at least, and there are %d", highest+1, len(c.categories))
	}
	return nil
}

// highestCode returns the highest category code in the splits of a feature; -1 if there is none.
func (m *model) highestCode(f *forest.Feature) int {
	highest := -1
	for t := range m.Trees {
		for i := range m.Trees[t].Nodes {
			n := &m.Trees[t].Nodes[i]
			if &m.Features[n.Feature] != f || n.Kind <= forest.SplitLess {
				continue
			}
			for word, set := range m.Trees[t].Sets[n.Set] {
				if set != 0 {
					highest = max(highest, 32*word+bits.Len32(set)-1)
				}
			}
		}
	}
	return highest
}

// lookAtWords notes the words of a number column that are no numbers.
func (d *description) lookAtWords(name string, w *columnWords) {
	if others := w.others(); len(others) > 0 {
		d.notes.look("%s: a number column, in which the table has texts, whose rows are rejected: %s", name, listed(others))
	}
}

func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

// listed names the first few texts.
func listed(texts []string) string {
	const most = 6
	if rest := len(texts) - most; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:most], ", "), rest)
	}
	return strings.Join(texts, ", ")
}

// segments returns the columns that summaries are divided by: categories, the most important first.
func (d *description) segments() []string {
	var found []*column
	for i := range d.columns {
		if c := &d.columns[i]; c.kind == category && !c.wording.sensitive && len(c.categories) <= segmentValuesMax {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b *column) int { return cmp.Compare(b.importance, a.importance) })
	var names []string
	for _, c := range found[:min(len(found), segmentsMax)] {
		names = append(names, c.name)
	}
	return names
}

// Limits of a summary's segments, as package engine has them.
const (
	segmentsMax      = 5
	segmentValuesMax = 50
)
