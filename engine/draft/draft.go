// Package draft makes a bundle of a model file and the rows that it was trained on.
//
// [Create] is the way of the data: read the model, describe its columns, score the rows, choose bands and golden rows,
// write the bundle, and open it as any bundle is opened. What it cannot know it assumes, and says so in [Report].
package draft

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
	"github.com/retainwise/millrace/ingest"
)

// Options say what a model file does not.
type Options struct {
	Name       string // the bundle's name
	Title      string // shown to people; empty: made from Name
	ID         string // column with the customer's id; empty: none
	Value      string // column with the revenue at stake; empty: none
	Label      string // column of the tables that says whether the customer left; empty: none
	Iterations string // as for [engine.TakeIterations]
	Bands      []engine.Band
	// Categories are those of columns whose model file lists none, in the order of training; SortedCategories states that
	// those of all other such columns are the table's in sorted order, as pandas makes them of texts.
	Categories       map[string][]string
	SortedCategories bool
	Numbers          ingest.NumberStyle
	Facts            Facts
	// Library scores the golden rows with the library that trained the model; nil: there is none, and the bundle is verified
	// by itself. An error has the same effect, and is reported.
	Library func(ctx context.Context, q LibraryRequest) (*LibraryScores, error)
	Today   time.Time
}

// Table opens a CSV file, each time from its beginning. The function that it returns closes the file.
type Table func() (engine.Input, func(), error)

// Dir is the directory of a bundle that is being made.
type Dir interface {
	fs.FS
	WriteFile(name string, content []byte) error
}

// Report says what Create did, for people.
type Report struct {
	Rows, Scored int64 // of the data
	Columns      int   // that the model reads
	Verified     string
	Library      string // name and version of the library that verified; empty: none
	GoldenRows   int
	Assumed      []string // what was not known
	LookAt       []string // what a person should look at before customers see it
	Training     *engine.OutcomeReport
	Holdout      *engine.OutcomeReport // nil without a holdout
}

// Create writes a bundle into dir, which must be empty: bundle.yaml, the model, golden rows and the manifest. data
// are the rows that the model was trained on; holdout, unless nil, rows that it has not seen. modelName is the file name in
// the bundle. The bundle has passed all checks of [engine.OpenBundle] when Create returns without an error.
func Create(ctx context.Context, dir Dir, modelName string, model []byte, data, holdout Table, o Options) (*Report, error) {
	m, err := readModel(modelName, model, o)
	if err != nil {
		return nil, err
	}
	d := &description{Options: o, model: m}
	if d.calibration, err = newCorrection(o.Facts.Calibration); err != nil {
		return nil, err
	}
	if err := d.readColumns(ctx, data); err != nil {
		return nil, fmt.Errorf("read the columns: %w", err)
	}
	if err := dir.WriteFile(modelName, model); err != nil {
		return nil, fmt.Errorf("write the model: %w", err)
	}
	if err := d.measure(ctx, dir, data, holdout); err != nil {
		return nil, err
	}
	if err := d.verify(ctx, dir); err != nil {
		return nil, fmt.Errorf("golden rows: %w", err)
	}
	if err := d.write(dir); err != nil {
		return nil, err
	}
	if _, err := engine.OpenBundle(dir); err != nil {
		return nil, fmt.Errorf("check the bundle: %w", err)
	}
	return d.report(), nil
}

// description is everything that bundle.yaml will say.
type description struct {
	Options
	model   *model
	columns []column // the id, the model's features in its order, the value
	notes   notes

	rows, scored int64
	training     *engine.OutcomeReport // nil without a label
	holdout      *engine.OutcomeReport // nil without a holdout
	shares       []float64             // of the rows by probability, in 20 bins
	ofHoldout    bool                  // shares, bands and AUC are of the holdout
	observed     []engine.Observed     // labelled rows of the holdout, or of the data
	kept         *reservoir            // some rows of the data
	calibration  correction
	goldens      goldens
}

// notes collects what the report states.
type notes struct{ assumed, lookAt []string }

func (n *notes) assume(format string, args ...any) {
	n.assumed = append(n.assumed, fmt.Sprintf(format, args...))
}

func (n *notes) look(format string, args ...any) {
	n.lookAt = append(n.lookAt, fmt.Sprintf(format, args...))
}

func (d *description) report() *Report {
	return &Report{
		Rows: d.rows, Scored: d.scored, Columns: len(d.model.Features), Verified: d.goldens.verified,
		Library: d.goldens.library, GoldenRows: len(d.goldens.rows), Assumed: d.notes.assumed, LookAt: d.notes.lookAt,
		Training: d.training, Holdout: d.holdout,
	}
}

// model is a model file that can be described.
type model struct {
	*forest.Forest
	file       string
	importance []float64 // by feature
	reads      []bool    // by feature
}

// readModel refuses what no bundle can be made of.
func readModel(name string, file []byte, o Options) (*model, error) {
	f, err := engine.ReadForest(name, file)
	if err != nil {
		return nil, err
	}
	if f, err = engine.TakeIterations(f, o.Iterations); err != nil {
		return nil, err
	}
	if o.Facts.Probability && f.Link == forest.LinkIdentity && f.Classes == 1 {
		return &model{Forest: f, file: name, importance: engine.Importance(f), reads: f.Reads()}, nil
	}
	if f.Link != forest.LinkSigmoid || f.Classes != 1 {
		return nil, fmt.Errorf("%w: %s: objective %q gives no probability of one class", engine.ErrModelUnsupported,
			filepath.Base(name), f.Objective)
	}
	return &model{Forest: f, file: name, importance: engine.Importance(f), reads: f.Reads()}, nil
}
