package draft

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/retainwise/millrace/engine"
)

// edgesMost is the number of edges between the ranges of a number's training profile.
const edgesMost = 9

// measure scores the tables with a draft of the bundle and fills in what they show.
func (d *description) measure(ctx context.Context, dir Dir, data, holdout Table) error {
	b, err := d.openDraft(dir, false)
	if err == nil && d.Label != "" {
		b, err = b.With(engine.Additions{Label: d.Label})
	}
	if err != nil {
		return err
	}
	stated := d.calibration // before the holdout
	trained, err := d.scoreTable(ctx, b, data)
	if err != nil {
		return fmt.Errorf("score the data: %w", err)
	}
	d.rows, d.scored, d.kept = trained.tally.Rows, trained.tally.Scored, trained.kept
	if d.scored == 0 {
		return fmt.Errorf("none of the %d rows of the data could be scored. %s", d.rows, strings.Join(d.notes.lookAt, ". "))
	}
	if d.scored < d.rows {
		d.notes.look("%d of %d rows of the data were rejected: 'millrace validate' with this bundle names each", d.rows-d.scored, d.rows)
	}
	for i := range d.columns {
		d.columns[i].measure(trained, i, &d.notes)
		if unseen := trained.tally.Columns[i].Unseen; unseen > 0 {
			d.notes.look("%s: %d rows have a category that the model does not know, which counts as missing", d.columns[i].name, unseen)
		}
	}
	d.shares, d.observed = sharesOf(trained.scores[:]), trained.observed
	if holdout != nil {
		if err := d.measureHoldout(ctx, b, holdout); err != nil {
			return fmt.Errorf("score the holdout: %w", err)
		}
	}
	if d.Label != "" && len(trained.observed) == 0 {
		return fmt.Errorf("column %q says of no row whether the customer left: it must hold yes or no, true or false, 1 or 0", d.Label)
	}
	d.chooseBands()
	names := make([]string, len(d.Bands))
	for i, band := range d.Bands {
		names[i] = band.Name
	}
	if len(trained.observed) > 0 {
		d.training = outcomesOf(trained.observed, d.Bands, names, stated)
	}
	if d.ofHoldout {
		d.holdout = outcomesOf(d.observed, d.Bands, names, d.calibration)
	}
	return nil
}

// measureHoldout takes the shares of scores, the calibration and the outcomes from rows that the model has not seen.
func (d *description) measureHoldout(ctx context.Context, b *engine.Bundle, holdout Table) error {
	unseen, err := d.scoreTable(ctx, b, holdout)
	if err != nil {
		return err
	}
	if len(unseen.observed) == 0 {
		return fmt.Errorf("no row has a label: a holdout is for rows with --label")
	}
	d.ofHoldout, d.observed = true, unseen.observed
	if d.calibration.of == nil {
		d.calibration = calibrate(unseen.observed, d.calibration, &d.notes)
	}
	scores := [scoreBins]int64{}
	for row := range unseen.kept.len() {
		p := d.calibration.apply(unseen.kept.row(row)[unseen.kept.width-1])
		scores[min(int(p*scoreBins), scoreBins-1)]++
	}
	d.shares = sharesOf(scores[:])
	return nil
}

// openDraft opens a bundle of what is known so far; without the calibration unless calibrated.
func (d *description) openDraft(dir Dir, calibrated bool) (*engine.Bundle, error) {
	plain := *d
	if !calibrated {
		plain.calibration = correction{}
	}
	if err := dir.WriteFile(bundleFile, plain.yaml()); err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	return engine.OpenDraft(dir)
}

// outcomesOf compares predictions with outcomes, with the bands and the calibration that the bundle has.
func outcomesOf(observed []engine.Observed, bands []engine.Band, names []string, c correction) *engine.OutcomeReport {
	customers := slices.Clone(observed)
	for i := range customers {
		o := &customers[i]
		o.Probability = float32(c.apply(float64(o.Probability)))
		o.Band = int16(slices.IndexFunc(bands, func(b engine.Band) bool { return float64(o.Probability) < b.Below }))
	}
	r := engine.NewOutcomeReport(customers, names)
	return &r
}

// measure fills in what the training rows show of column i.
func (c *column) measure(m *measured, i int, n *notes) {
	if c.kind == text {
		return
	}
	total := m.tally.Scored
	c.min, c.max, c.absent = m.min[i], m.max[i], share(m.missing[i], total)
	if c.kind == category {
		counts := m.counts[i]
		most := 0
		for code := range counts {
			c.shares = append(c.shares, share(counts[code], total))
			if counts[code] > counts[most] {
				most = code
			}
		}
		c.shares, c.typical = append(c.shares, c.absent), c.categories[most]
		return
	}
	values := m.kept.column(i)
	if len(values) == 0 {
		n.look("%s: no row of the data has a value", c.name)
		return
	}
	slices.Sort(values)
	c.typical = strconv.FormatFloat(fourDigits(values[(len(values)-1)/2]), 'f', -1, 64)
	c.edges = edgesOf(values)
	c.shares = binShares(values, c.edges, m.kept.len())
	if c.min == c.max {
		n.look("%s: always %v in the data", c.name, c.min)
	}
}

// edgesOf returns the tenths of ascending values, without equal ones and without the largest value, behind which nothing is.
func edgesOf(values []float64) []float64 {
	var edges []float64
	for i := range edgesMost {
		at := (len(values)*(i+1)+edgesMost)/(edgesMost+1) - 1
		edges = append(edges, values[max(at, 0)])
	}
	edges = slices.Compact(edges)
	return slices.DeleteFunc(edges, func(e float64) bool { return e >= values[len(values)-1] })
}

// binShares counts ascending values by the number of edges below each; the last share is of rows without a value.
func binShares(values, edges []float64, rows int) []float64 {
	counts := make([]int64, len(edges)+2)
	for _, x := range values {
		bin, _ := slices.BinarySearch(edges, x)
		counts[bin]++
	}
	counts[len(edges)+1] = int64(rows - len(values))
	return sharesOf(counts)
}

func sharesOf(counts []int64) []float64 {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	shares := make([]float64, len(counts))
	for i, n := range counts {
		shares[i] = share(n, total)
	}
	return shares
}

// share returns n/of with six decimals; 0 if of is 0.
func share(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return math.Round(1e6*float64(n)/float64(of)) / 1e6
}

// fourDigits rounds to four significant digits.
func fourDigits(x float64) float64 {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	return rounded
}
