package engine

import (
	"fmt"
	"sync"

	"github.com/retainwise/millrace/engine/forest"
)

// explainer holds what explaining a bundle's scores needs: the contributions of its trees and the texts of its
// features. It is immutable and shared.
type explainer struct {
	trees *forest.Explainer
	book  *Phrasebook
	idle  *sync.Pool // of *explainWorker: each has megabytes of scratch, which costs as much as explaining a short file
}

// newExplainer fails for forests that cannot be explained. Every feature takes the texts of the column it is bound to,
// whatever its name in the model.
func (b *Bundle) newExplainer() (*explainer, error) {
	trees, err := b.compiled.NewExplainer(b.forest)
	if err != nil {
		return nil, err
	}
	texts := make([]FeatureText, len(b.features))
	for i, feature := range b.features {
		texts[i] = b.file.Columns[feature.column].text()
	}
	probability := b.forest.ScalarLink() // the model has one class, as newBundle has checked
	if b.calibrate != nil {
		link := probability
		probability = func(raw float64) float64 { return b.calibrate(link(raw)) }
	}
	book := NewPhrasebook(texts, probability)
	if b.forest.Link == forest.LinkSigmoid && b.calibrate == nil {
		book.sigmoid = newSigmoidTable(b.forest.Sigmoid)
	}
	return &explainer{trees: trees, book: book, idle: new(sync.Pool)}, nil
}

func (c *bundleColumn) text() FeatureText {
	return FeatureText{
		Name: c.Name, Label: c.Label, Unit: c.Unit, Group: c.Group, Typical: c.Typical, Sensitive: c.Sensitive,
		Categories: c.Categories, Phrases: Phrases(c.Phrases),
	}
}

// explainWorker explains the rows of one worker's batches.
type explainWorker struct {
	contributor *forest.Contributor
	narrator    *Narrator
	from        int16        // index of the lowest band to explain
	codes       forest.Codes // bins of the current batch, if the scorer kept them
	rows        forest.Rows
	width       int       // entries of phi per row: the features and the bias
	phi         []float64 // contributions of the wanted rows, row by row
	place       []int32   // index of each row in phi; undefined for rows that are not wanted

	wanted  []int32         // scratch: the rows to explain
	columns []forest.Column // scratch: the cells of those rows
}

// newExplainWorker returns the explainer of one worker; nil without an error if which is none. It fails if the model
// cannot be explained.
func (b *Bundle) newExplainWorker(which Explain) (*explainWorker, error) {
	from := int16(0)
	switch which {
	case ExplainNone, "":
		return nil, nil
	case ExplainAll:
	case ExplainAtRisk:
		from = 1
	default:
		return nil, fmt.Errorf("explain %q: choose all, at_risk or none", which)
	}
	x := b.explainer
	if x == nil {
		return nil, fmt.Errorf("explain: %w", b.explainErr)
	}
	w, idle := x.idle.Get().(*explainWorker)
	if !idle {
		w = &explainWorker{
			contributor: x.trees.NewContributor(), narrator: x.book.NewNarrator(), width: len(b.features) + 1,
			columns: make([]forest.Column, len(b.features)),
		}
	}
	w.from = from
	return w, nil
}

// putWorker makes w available to the next score; nil is ignored. Workers of a failed score are not put back, as their
// sums may cover half a batch.
func (x *explainer) putWorker(w *explainWorker) {
	if w == nil {
		return
	}
	w.rows, w.narrator.row = forest.Rows{}, RowFacts{}
	w.codes.Forget()
	x.idle.Put(w)
}

// wants reports whether rows of a band are explained.
func (x *explainWorker) wants(band int16) bool { return band >= x.from }

// contributions computes the contributions of a batch's wanted rows. rows must stay valid until the last of them was
// narrated.
func (x *explainWorker) contributions(rows forest.Rows, bands []int16) {
	x.rows = rows
	clear(x.narrator.absSums)
	x.narrator.rowsRead = 0
	x.wanted, x.place = x.wanted[:0], grow(x.place, rows.Len)
	for i, band := range bands {
		x.place[i] = int32(len(x.wanted))
		if x.wants(band) {
			x.wanted = append(x.wanted, int32(i))
		}
	}
	if len(x.wanted) < rows.Len {
		rows = gatherRows(x.columns, rows, x.wanted)
	}
	x.phi = grow(x.phi, rows.Len*x.width)
	if !x.contributor.ContributionsOf(x.phi, rows.Len, &x.codes) {
		x.contributor.Contributions(x.phi, rows)
	}
}

// factorSums fills sums with the contributions of a wanted row of the current batch, summed by factor.
func (x *explainWorker) factorSums(sums []float64, row int) {
	at := int(x.place[row]) * x.width
	x.narrator.book.sum(sums, x.phi[at:at+x.width-1])
}

// gatherRows copies the wanted rows into columns, whose memory is reused.
func gatherRows(columns []forest.Column, rows forest.Rows, wanted []int32) forest.Rows {
	for i := range rows.Columns {
		from, to := &rows.Columns[i], &columns[i]
		if from.Codes == nil {
			to.Numbers = gatherCells(to.Numbers, from.Numbers, wanted)
			continue
		}
		to.Values, to.Codes = from.Values, gatherCells(to.Codes, from.Codes, wanted)
	}
	return forest.Rows{Len: len(wanted), Columns: columns}
}

func gatherCells[T any](dst, cells []T, rows []int32) []T {
	dst = grow(dst, len(rows))
	for i, row := range rows {
		dst[i] = cells[row]
	}
	return dst
}

// narrate loads a wanted row of the current batch into the narrator and returns it.
func (x *explainWorker) narrate(row int, raw float64, probability float32, band string) *Narrator {
	at := int(x.place[row]) * x.width
	x.narrator.Read(RowFacts{
		Rows: x.rows, Row: row, Contributions: x.phi[at : at+x.width-1],
		Raw: raw, Probability: float64(probability), Band: band,
	})
	return x.narrator
}
