package ingest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/retainwise/millrace/ingest"
)

func TestCategoriesAreMatchedLoosely(t *testing.T) {
	ingest.WithKernels(t, func(t *testing.T) {
		for _, c := range []struct {
			categories []string
			spellings  map[string]string
			cell, want string // ? is unknown
		}{
			{[]string{"Month-to-month", "One year"}, nil, "Month-to-Month", "Month-to-month"},
			{[]string{"Month-to-month", "One year"}, nil, "MONTH TO MONTH", "Month-to-month"},
			{[]string{"Month-to-month", "One year"}, nil, "month_to_month", "Month-to-month"},
			{[]string{"Month-to-month", "One year"}, nil, "Month–to—month", "Month-to-month"},
			{[]string{"Month-to-month", "One year"}, nil, "Month‑to\u00admonth", "Month-to-month"},
			{[]string{"Month-to-month", "One year"}, nil, "One\u00a0Year", "One year"},
			{[]string{"Month-to-month", "One year"}, nil, "One\u200b year", "One year"},
			{[]string{"Month-to-month", "One year"}, nil, "Oneyears", "?"},
			{[]string{"Two year"}, map[string]string{"2 years": "Two year"}, "2 Years", "Two year"},
			// Never merged.
			{[]string{"A", "a"}, nil, "A ", "A"},
			{[]string{"AB", "a-b"}, nil, "a b", "?"},
			{[]string{"10-20", "20-30"}, nil, "1020", "?"},
			{[]string{"10-20", "20-30"}, nil, "10 – 20", "10-20"},
			{[]string{"A", "B"}, nil, "A-", "?"},
			{[]string{"A", "A-"}, nil, "a-", "A-"},
			{[]string{"1", "2"}, nil, "-1", "?"},
			{[]string{"-1", "1"}, nil, "−1", "-1"},
			{[]string{"C", "C++"}, nil, "c++", "C++"},
			{[]string{"x"}, map[string]string{"Ab": "x"}, "A-B", "x"},
			{[]string{"x", "y"}, map[string]string{"Ab": "x", "a b": "y"}, "A-B", "?"},
			// Numbers are compared as numbers.
			{[]string{"0", "1"}, nil, "0.0", "0"},
			{[]string{"0", "1"}, nil, "1.", "1"},
			{[]string{"0", "1"}, nil, "01", "1"},
			{[]string{"0.0", "1.0", "2.5"}, nil, "0", "0.0"},
			{[]string{"0.0", "1.0", "2.5"}, nil, "2.50", "2.5"},
			{[]string{"1", "1.0"}, nil, "1.00", "?"},
			{[]string{"007"}, nil, "7", "?"},
			{[]string{"9007199254740992"}, nil, "9007199254740993", "?"},
			{[]string{"3", "unknown"}, nil, "3.0", "3"},
			// Yes and no.
			{[]string{"No", "Yes"}, nil, "TRUE", "Yes"},
			{[]string{"No", "Yes"}, nil, "f", "No"},
			{[]string{"No", "Yes"}, nil, "1.0", "Yes"},
			{[]string{"No", "Yes"}, nil, "0", "No"},
			{[]string{"No", "Yes"}, nil, "WAHR", "Yes"},
			{[]string{"No", "Yes"}, nil, "Nein", "No"},
			{[]string{"0", "1"}, nil, "t", "1"},
			{[]string{"false", "true"}, nil, "False", "false"},
			{[]string{"false", "true"}, nil, "y", "true"},
			{[]string{"No", "Yes"}, nil, "2", "?"},
			{[]string{"No", "Yes", "Maybe"}, nil, "t", "?"},
			{[]string{"0", "1", "2"}, nil, "True", "?"},
			{[]string{"Female", "Male"}, nil, "1", "?"},
			{
				[]string{"No", "No phone", "Yes"},
				map[string]string{"0": "No", "false": "No", "1": "Yes", "true": "Yes"},
				"t", "Yes",
			},
			{[]string{"No", "No phone", "Yes"}, map[string]string{"0": "No", "1": "Yes"}, "0.0", "No"},
		} {
			s := ingest.Schema{Columns: []ingest.Column{
				{Name: "id", Kind: ingest.Text},
				{Name: "c", Kind: ingest.Category, Categories: c.categories, Spellings: c.spellings},
			}}
			o := read("id,c\n"+strings.Repeat("A,"+c.cell+"\n", 20), s, ingest.Limits{}, nil)
			if o.err != nil || len(o.rows) != 20 || o.rows[7] != "8:A|"+c.want {
				t.Errorf("%v %q: %v %v, want %s", c.categories, c.cell, o.rows, o.err, c.want)
			}
		}
	})
}

// However the letters of a category are dressed, it is found; and where a list has two that look alike, each is itself.
func TestLooseMatchesNeverMerge(t *testing.T) {
	random := rand.New(rand.NewPCG(18, 5))
	separators := []string{" ", "-", "_", "–", "\u00a0", ""}
	for range 300 {
		words := []string{"fiber", "optic", "dsl", "no", "x1"}
		random.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		categories := map[string]bool{}
		for range 1 + random.IntN(6) {
			categories[strings.Join(words[:1+random.IntN(3)], separators[random.IntN(len(separators))])] = true
		}
		c := ingest.Column{Name: "c", Kind: ingest.Category}
		var file strings.Builder
		file.WriteString("id,c\n")
		var want []string
		for text := range categories {
			c.Categories = append(c.Categories, text)
			fmt.Fprintf(&file, "A,%s\n", text)
			want = append(want, fmt.Sprintf("%d:A|%s", len(want)+1, text))
		}
		o := read(file.String(), ingest.Schema{Columns: []ingest.Column{{Name: "id", Kind: ingest.Text}, c}}, ingest.Limits{}, nil)
		equalLists(t, "categories", o.rows, want)
		if len(o.warnings) > 0 {
			t.Errorf("%v: warnings %v", c.Categories, o.warnings)
		}
	}
}
