package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/retainwise/millrace/ingest"
)

// Remark says in a sentence what is notable about the scored rows, or about a column of them.
type Remark struct {
	Code   string `json:"code"` // as published: "ERR-1653"; "ERR-1018" of a column that is useless as a whole
	Column string `json:"column,omitempty"`
	Count  int64  `json:"count"` // rows
	// Share is Count as a share of the scored rows.
	Share float64 `json:"share"`
	// Values are up to three of the values that the remark is about, as they stand in the file.
	Values []string `json:"values,omitempty"`
	Text   string   `json:"text"`
}

// uselessColumnCode is the code of a remark on a column that is useless as a whole.
const uselessColumnCode = "ERR-1018"

// remarkWords are the sentences of remarks behind "N % of the rows (n of m)", by reason; those that change scores first.
var remarkWords = []struct {
	reason ingest.Reason
	text   string
}{
	{ingest.UnknownCategory, "have a value that the model does not know"},
	{ingest.OutsideTraining, "have a number outside the range of training"},
	{ingest.MissingValue, "have no value"},
	{ingest.DuplicateIDScored, "are of a customer who has an earlier row"},
	{ingest.LooseCategory, "have a value that was matched without regard to case, spaces and dashes, or as a number or yes and no"},
	{ingest.WrittenNumber, "have a number with separators of thousands, a decimal comma or a currency, which was read"},
	{ingest.Normalised, "have a value that was trimmed or spelled differently, which changes nothing"},
}

// rankedRemark is a remark with what it is sorted by.
type rankedRemark struct {
	Remark
	rank   int     // 0: useless columns
	weight float64 // share times importance
}

// remarks lists what is notable, the most important first: useless columns unless check is [ColumnCheckOff], then
// remarks by their kind, and of each kind by their share and the importance of the column.
func (t *Tally) remarks(check ColumnCheck) []Remark {
	var list []rankedRemark
	if check != ColumnCheckOff {
		for _, c := range t.uselessColumns() {
			list = append(list, rankedRemark{Remark: t.uselessRemark(c), weight: c.Gain})
		}
	}
	for _, w := range t.Warnings {
		list = append(list, t.rankedRemark(w))
	}
	slices.SortStableFunc(list, func(a, b rankedRemark) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.weight, a.weight), cmp.Compare(b.Count, a.Count))
	})
	remarks := make([]Remark, len(list))
	for i := range list {
		remarks[i] = list[i].Remark
	}
	return remarks
}

func (t *Tally) uselessRemark(c *ColumnTally) Remark {
	e := newUselessColumnError([]*ColumnTally{c}, t.Scored, true)
	r := t.remark(ReasonCount{uselessColumnCode, c.Name, e.Rows()})
	r.Values = c.Values
	r.Text = fmt.Sprintf("Column '%s' is of no use: %s of its values are %s%s. Expected %s.",
		c.Name, e.Share(), e.Problem(), suchAs(c.Values), c.Expected)
	return r
}

func (t *Tally) rankedRemark(w ReasonCount) rankedRemark {
	r := rankedRemark{Remark: t.remark(w), rank: len(remarkWords) + 1}
	for i, word := range remarkWords {
		if word.reason.Code() == w.Code {
			r.rank, r.Text = 1+i, word.text
		}
	}
	const leastGain = 0.001 // the model reads the column little: its share decides
	r.weight = r.Share * leastGain
	if i := slices.IndexFunc(t.Columns, func(c ColumnTally) bool { return c.Name == w.Column }); i >= 0 {
		c := &t.Columns[i]
		r.weight = r.Share * max(c.Gain, leastGain)
		if c.Unseen > 0 && w.Code == ingest.UnknownCategory.Code() || c.Outside > 0 && w.Code == ingest.OutsideTraining.Code() {
			r.Values = c.Values
		}
	}
	r.Text = fmt.Sprintf("Column '%s': %s of the rows (%d of %d) %s%s.",
		w.Column, sharePercent(w.Count, t.Scored), w.Count, t.Scored, r.Text, suchAs(r.Values))
	return r
}

func (t *Tally) remark(w ReasonCount) Remark {
	return Remark{Code: w.Code, Column: w.Column, Count: w.Count, Share: roundFigure(shareOf(w.Count, t.Scored))}
}

// suchAs shows examples; empty if there are none.
func suchAs(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return ", such as " + quotedList(values)
}
