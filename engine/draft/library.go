package draft

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/engine/forest"
)

// LibraryRequest asks the training library for its scores of some rows.
type LibraryRequest struct {
	Library    string   `json:"library"`    // lightgbm or xgboost
	Iterations int      `json:"iterations"` // 0: all
	Names      []string `json:"names"`      // of features; nil if the model has none
	Categories []bool   `json:"categories"` // by feature: its numbers are codes
	Rows       [][]any  `json:"rows"`       // float64, or nil for a missing value
}

// LibraryScores are the training library's scores, row by row.
type LibraryScores struct {
	Library     string    `json:"library"` // with its version
	Raw         []float64 `json:"raw"`
	Probability []float64 `json:"probability"`
}

// askLibrary lets the training library score rows of numbers. The error says why it has not.
func (d *description) askLibrary(ctx context.Context, features [][]float64) (*LibraryScores, error) {
	if d.Library == nil {
		return nil, errors.New("no Python is named")
	}
	s, err := d.Library(ctx, d.libraryRequest(features))
	if err != nil {
		return nil, err
	}
	if len(s.Raw) != len(features) || len(s.Probability) != len(features) {
		return nil, fmt.Errorf("%s scores %d of %d rows", s.Library, len(s.Raw), len(features))
	}
	return s, nil
}

func (d *description) libraryRequest(features [][]float64) LibraryRequest {
	q := LibraryRequest{Library: "lightgbm"}
	if d.model.Library == forest.XGBoost {
		q.Library = "xgboost"
	}
	if d.Iterations == engine.IterationsBest {
		q.Iterations = d.model.BestIteration
	}
	for i := range d.model.Features {
		f := &d.model.Features[i]
		q.Categories = append(q.Categories, f.Categorical)
		if f.Name != "" && (i == 0 || q.Names != nil) {
			q.Names = append(q.Names, f.Name)
		}
	}
	for _, row := range features {
		cells := make([]any, len(row))
		for i, x := range row {
			if !math.IsNaN(x) {
				cells[i] = x
			}
		}
		q.Rows = append(q.Rows, cells)
	}
	return q
}
