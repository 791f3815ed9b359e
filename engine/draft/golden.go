package draft

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

const (
	goldenTypical  = 40  // rows of the data, from the least probability to the largest
	goldenSplits   = 3   // thresholds of a number that rows stand at, and on both sides of
	goldenRowsMost = 600 // in all
)

// goldens are rows with the scores that every later opening of the bundle compares.
type goldens struct {
	header   []string
	rows     [][]string
	scores   [][2]float64 // raw and probability by row
	verified string
	library  string // name and version; empty: none
}

// verify chooses golden rows and scores them, by the training library where Python has it.
func (d *description) verify(ctx context.Context, dir Dir) error {
	if d.Facts.Golden != "" {
		return d.verifyFacts(dir)
	}
	b, err := d.openDraft(dir, false) // the training library knows no calibration
	if err != nil {
		return err
	}
	g := &d.goldens
	g.header, g.verified = d.names(), engine.VerifiedSelf
	g.rows = d.goldenRows()
	own, err := b.Predict(g.csv(false))
	if err != nil {
		return err
	}
	theirs, err := d.askLibrary(ctx, own.Features)
	if err != nil {
		d.notes.look("golden rows are scored by millrace itself, as the training library could not be asked: %v", err)
	} else if err := g.agree(own, theirs); err != nil {
		return err
	} else {
		g.verified, g.library, own.Raw, own.Probability = engine.VerifiedLibrary, theirs.Library, theirs.Raw, theirs.Probability
	}
	for i := range g.rows {
		g.scores = append(g.scores, [2]float64{own.Raw[i], d.calibration.apply(own.Probability[i])})
	}
	return nil
}

// verifyFacts compares the golden rows of the facts with the whole bundle's scores.
func (d *description) verifyFacts(dir Dir) error {
	g := &d.goldens
	if err := g.takeGoldens(d.Facts); err != nil {
		return err
	}
	b, err := d.openDraft(dir, true)
	if err != nil {
		return err
	}
	own, err := b.Predict(g.csv(false))
	if err != nil {
		return err
	}
	theirs := &LibraryScores{Library: d.Facts.GoldenBy}
	for _, s := range g.scores {
		theirs.Raw, theirs.Probability = append(theirs.Raw, s[0]), append(theirs.Probability, s[1])
	}
	g.verified, g.library = engine.VerifiedLibrary, d.Facts.GoldenBy
	return g.agree(own, theirs)
}

// agree compares the library's scores with the engine's.
func (g *goldens) agree(own engine.Prediction, theirs *LibraryScores) error {
	for i := range g.rows {
		for _, pair := range [][2]float64{{own.Raw[i], theirs.Raw[i]}, {own.Probability[i], theirs.Probability[i]}} {
			if math.Abs(pair[0]-pair[1]) > 1e-6*max(1, math.Abs(pair[1])) {
				return fmt.Errorf("%w: row %d (%s): %v by %s, %v by millrace", engine.ErrGolden, i+1,
					strings.Join(g.rows[i], ","), pair[1], theirs.Library, pair[0])
			}
		}
	}
	return nil
}

func (d *description) names() []string {
	var names []string
	for i := range d.columns {
		names = append(names, d.columns[i].name)
	}
	return names
}

// goldenRows are rows of the data, and for each column one of them with that column missing, extreme, unseen, and at and
// beside the model's thresholds.
func (d *description) goldenRows() [][]string {
	typical := d.typicalRows()
	rows := slices.Clone(typical)
	for i := range d.columns {
		for _, cell := range d.columns[i].goldenCells(d.model, i) {
			if len(rows) == goldenRowsMost {
				break
			}
			row := slices.Clone(typical[len(rows)%len(typical)])
			row[i] = cell
			if strings.Join(row, "") != "" { // a line of nothing but commas is no row
				rows = append(rows, row)
			}
		}
	}
	for i := range rows {
		for j := range d.columns {
			if d.columns[j].kind == text {
				rows[i][j] = fmt.Sprintf("golden-%d", i+1)
			}
		}
	}
	return rows
}

// typicalRows returns kept rows at equal distances by probability.
func (d *description) typicalRows() [][]string {
	last := d.kept.width - 1
	order := make([]int, d.kept.len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(d.kept.row(a)[last], d.kept.row(b)[last]) })
	n := min(goldenTypical, len(order))
	rows := make([][]string, n)
	for i := range rows {
		at := 0
		if n > 1 {
			at = i * (len(order) - 1) / (n - 1)
		}
		values := d.kept.row(order[at])
		for j := range d.columns {
			rows[i] = append(rows[i], d.columns[j].cell(values[j]))
		}
	}
	return rows
}

// cell writes a value as a file has it.
func (c *column) cell(x float64) string {
	switch {
	case math.IsNaN(x):
		return ""
	case c.kind == category:
		return c.categories[int(x)]
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// goldenCells are the cells of a column that go wrong first.
func (c *column) goldenCells(m *model, at int) []string {
	if c.feature == nil {
		return nil
	}
	cells := []string{""}
	if c.kind == category {
		return append(append(cells, "a category that no row has"), c.categories[:min(len(c.categories), 50)]...)
	}
	for _, x := range []float64{c.min, c.max, 0} {
		if !math.IsNaN(x) {
			cells = append(cells, c.cell(x))
		}
	}
	thresholds := m.thresholds(c)
	for i := range min(goldenSplits, len(thresholds)) {
		t := thresholds[i*len(thresholds)/goldenSplits%len(thresholds)]
		if !math.IsInf(t, 0) && math.Abs(t) < 1e15 && (t == 0 || math.Abs(t) > 1e-15) {
			cells = append(cells, c.cell(math.Nextafter(t, math.Inf(-1))), c.cell(t), c.cell(math.Nextafter(t, math.Inf(1))))
		}
	}
	return cells
}

// thresholds returns the numbers at which the model's trees split a column, ascending.
func (m *model) thresholds(c *column) []float64 {
	var found []float64
	for t := range m.Trees {
		for i := range m.Trees[t].Nodes {
			n := &m.Trees[t].Nodes[i]
			if &m.Features[n.Feature] == c.feature && n.Kind <= forest.SplitLess {
				found = append(found, n.Threshold)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// csv writes golden.csv, with or without the scores.
func (g *goldens) csv(scored bool) []byte {
	var b strings.Builder
	w := csv.NewWriter(&b)
	header := slices.Clone(g.header)
	if scored {
		header = append(header, "_raw", "_probability")
	}
	_ = w.Write(header) // a strings.Builder takes everything
	for i, row := range g.rows {
		if scored {
			row = append(slices.Clone(row), digits(g.scores[i][0]), digits(g.scores[i][1]))
		}
		_ = w.Write(row)
	}
	w.Flush()
	return []byte(b.String())
}

// digits formats a number with 17 significant digits, from which it is read back exactly.
func digits(x float64) string { return strconv.FormatFloat(x, 'g', 17, 64) }
