package forest_test

import (
	"os"
	"slices"
	"testing"

	"github.com/retainwise/millrace/engine/forest"
)

// TestCodesThatAScorerKeepsGiveTheSameContributions takes more rows, fewer rows and more again.
func TestCodesThatAScorerKeepsGiveTheSameContributions(t *testing.T) {
	for _, name := range []string{"binary", "categorical", "multiclass", "mixed_missing"} {
		file, err := os.ReadFile("../../testdata/forest/lightgbm/" + name + "/model.txt")
		if err != nil {
			t.Fatal(err)
		}
		f, err := forest.Read("model.txt", file, forest.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, kernel := range forest.Kernels() {
			c, err := forest.CompileFor(f, kernel)
			if err != nil {
				t.Fatal(err)
			}
			e, err := c.NewExplainer(f)
			if err != nil {
				t.Fatal(err)
			}
			s, contributor, codes := c.NewScorer(), e.NewContributor(), new(forest.Codes)
			for _, n := range []int{257, 300, 200, 4400, 70} {
				rows := repeated(f.ProbeRows(), n)
				raw, kept := make([]float64, n*f.Classes), make([]float64, n*f.Classes)
				s.Raw(raw, rows)
				s.RawCodes(kept, rows, codes)
				if !slices.Equal(raw, kept) {
					t.Errorf("%s, %s: keeping codes changes the scores of %d rows", name, kernel, n)
				}
				want := make([]float64, n*f.Classes*(len(f.Features)+1))
				got := make([]float64, len(want))
				contributor.Contributions(want, rows)
				if !contributor.ContributionsOf(got, n, codes) {
					t.Fatalf("%s, %s: the codes of %d rows were not kept", name, kernel, n)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %s: contributions of %d kept rows differ", name, kernel, n)
				}
			}
		}
	}
}

func TestCodesOfOtherRowsAreRefused(t *testing.T) {
	file, err := os.ReadFile("../../testdata/forest/lightgbm/binary/model.txt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := forest.Read("model.txt", file, forest.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := forest.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	e, err := c.NewExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := forest.NewExplainer(f)
	if err != nil {
		t.Fatal(err)
	}
	rows, one := repeated(f.ProbeRows(), 300), repeated(f.ProbeRows(), 1)
	raw, dst, codes := make([]float64, 300), make([]float64, 300*(len(f.Features)+1)), new(forest.Codes)
	refused := func(name string, e *forest.Explainer, n int) {
		if e.NewContributor().ContributionsOf(dst, n, codes) {
			t.Errorf("%s are taken", name)
		}
	}
	refused("codes never kept", e, 300)
	s := c.NewScorer()
	s.RawCodes(raw, rows, codes)
	refused("more codes than rows", e, 299)
	refused("codes of another binner", foreign, 300)
	s.RawCodes(raw, one, codes)
	refused("codes of a single row", e, 1)
	s.RawCodes(raw, rows, codes)
	codes.Forget()
	refused("forgotten codes", e, 300)
}

// repeated gives the first n of the rows, over and over.
func repeated(rows forest.Rows, n int) forest.Rows {
	more := forest.Rows{Len: n, Columns: slices.Clone(rows.Columns)}
	for i := range more.Columns {
		c := &more.Columns[i]
		numbers, codes := []float64(nil), []uint16(nil)
		for row := range n {
			if c.Codes != nil {
				codes = append(codes, c.Codes[row%rows.Len])
			} else {
				numbers = append(numbers, c.Numbers[row%rows.Len])
			}
		}
		c.Numbers, c.Codes = numbers, codes
	}
	return more
}
