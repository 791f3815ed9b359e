package ingest

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// A row with the sums of the rows above is no customer, but has numbers where a customer has them. It is known by a word
// in the customer's id and by what it lacks: it has no category; and it is named as nothing but a total, or lacks half of
// what the model reads. Where the model reads no categories both are asked for.

// totalWords are the words by which people name totals, and totalFillers those that may stand beside them.
var (
	totalWords = []string{
		"total", "totals", "subtotal", "subtotals", "grandtotal", "sum", "sums", "summe", "gesamt", "gesamtsumme",
		"zwischensumme", "insgesamt", "summa", "suma", "soma", "somme", "totale", "totaux", "totaal", "totalt", "subtotaal",
		"итого", "всего", "合計", "合计", "总计", "總計", "小計", "小计",
	}
	totalFillers = []string{
		"grand", "sub", "overall", "all", "of", "the", "general", "général", "generale", "geral", "customers", "rows", "and",
	}
)

// isTotal says whether a text has a word for totals, and whether it has no other.
func isTotal(text string) (has, only bool) {
	only = true
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		word = strings.ToLower(word)
		switch {
		case slices.Contains(totalWords, word):
			has = true
		case !slices.Contains(totalFillers, word):
			only = false
		}
	}
	return has, has && only
}

// totals finds the rows of totals; nil if the file does not name its customers.
type totals struct {
	id         *texts
	categories []*categories
	numbers    []*numbers
}

func newTotals(reading []cells) *totals {
	t := &totals{}
	for _, c := range reading {
		switch c := c.(type) {
		case *texts:
			if t.id == nil {
				t.id = c
			}
		case *categories:
			t.categories = append(t.categories, c)
		case *numbers:
			t.numbers = append(t.numbers, c)
		}
	}
	if t.id == nil || len(t.categories)+len(t.numbers) < 2 {
		return nil
	}
	return t
}

// refuse adds the rows of totals to the refused rows of the window, which has been converted.
func (t *totals) refuse(w *window) {
	if t == nil || !t.possible() {
		return
	}
	for slot := w.base; slot < len(t.id.offsets)-1; slot++ {
		if t.lacks(slot) {
			reject := Reject{Reason: TotalRow, Column: t.id.name, Expected: "a customer"}
			w.rejects = slices.Insert(w.rejects, 0, refused{Reject: reject, slot: slot})
		}
	}
}

// possible says whether the chunk has a row without a category so far, or, if none are read, without a number.
func (t *totals) possible() bool {
	if len(t.categories) > 0 {
		return t.categories[0].counts[1] > 0
	}
	return slices.ContainsFunc(t.numbers, func(n *numbers) bool { return n.counts[1] > 0 })
}

// lacks says whether a row lacks what a customer has, and is named as a total.
func (t *totals) lacks(slot int) bool {
	for _, c := range t.categories {
		if c.codes[slot] != c.missing {
			return false
		}
	}
	missing := len(t.categories)
	for _, n := range t.numbers {
		if math.IsNaN(n.values[slot]) {
			missing++
		}
	}
	if missing == 0 {
		return false
	}
	has, only := isTotal(string(t.id.bytes[t.id.offsets[slot]:t.id.offsets[slot+1]]))
	half := 2*missing >= len(t.categories)+len(t.numbers)
	if len(t.categories) == 0 {
		return only && half
	}
	return has && (only || half)
}
