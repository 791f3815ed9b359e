package engine

import (
	"github.com/retainwise/millrace/engine/forest"
)

// explainer is what explaining a bundle's scores takes: contributions of features, and words for them. Immutable.
type explainer struct {
	trees *forest.Explainer
	book  *Phrasebook
}

// newExplainer prepares explanations; it fails for forests that cannot be explained. Every feature has the words of the
// column that it is bound to, whatever the model calls it.
func newExplainer(file *bundleFile, f *forest.Forest, features []featureColumn) (*explainer, error) {
	trees, err := forest.NewExplainer(f)
	if err != nil {
		return nil, err
	}
	texts := make([]FeatureText, len(features))
	for i, feature := range features {
		texts[i] = file.Columns[feature.column].text()
	}
	probability := func(raw float64) float64 {
		p := [1]float64{raw}
		f.Probabilities(p[:], p[:])
		return p[0]
	}
	return &explainer{trees: trees, book: NewPhrasebook(texts, probability)}, nil
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
	teller      *Teller
	rows        forest.Rows
	width       int       // entries of phi a row: the features and the bias
	phi         []float64 // contributions, row by row
}

func (x *explainer) newWorker(b *Bundle) *explainWorker {
	return &explainWorker{
		contributor: x.trees.NewContributor(), teller: x.book.NewTeller(), width: len(b.forest.Features) + 1,
	}
}

// contributions computes the contributions of a batch; rows must stay valid while its rows are told.
func (x *explainWorker) contributions(rows forest.Rows) {
	x.rows = rows
	x.phi = grow(x.phi, rows.Len*x.width)
	x.contributor.Contributions(x.phi, rows)
}

// read takes a row of the batch in hand, to be told next.
func (x *explainWorker) read(row int, raw float64, probability float32, band string) *Teller {
	x.teller.Read(RowFacts{
		Rows: x.rows, Row: row, Contributions: x.phi[row*x.width : (row+1)*x.width-1],
		Raw: raw, Probability: float64(probability), Band: band,
	})
	return x.teller
}
