// Package plan has what api, work and duty share about a prediction: which model scores it ([KeptModels.Choose]), which parts its
// file has ([StoredPlan]), which options it was sent with ([PredictionOptions]), how a direct upload becomes one
// ([CompleteLink]); and the bundles in use ([Models]). What reads a request belongs in api, what works on a claim in work.
package plan

import (
	"io"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
)

// ErrModelWithdrawn means that an operator has withdrawn the model that a prediction is pinned to. One that is only not
// there at present is a [MissingModelError].
var ErrModelWithdrawn = fault.Fail(fault.CodeModelWithdrawn, "")

// NewPlanner returns a planner of text that is about to be stored: it makes the digests that parts are compared with when
// they are read.
func NewPlanner(text io.Reader, limits ingest.Limits) (*ingest.Planner, error) {
	planner, err := ingest.NewPlanner(text, limits)
	if err == nil {
		planner.DigestParts(func() ingest.PartDigest { return objects.NewDigester() })
	}
	return planner, err
}

// StoredPlan converts a plan to the form of the ledger, pinned to a bundle.
func StoredPlan(p ingest.Plan, b *engine.Bundle) store.Plan {
	plan := store.Plan{
		Header: store.Header{
			Columns: p.Header.Names, Delimiter: p.Header.Delimiter, Bytes: p.Header.Bytes, Lines: p.Header.Lines,
		},
		Rows: p.Rows, Bytes: p.Bytes, Model: pinned(b),
	}
	for i, part := range p.Parts {
		plan.Parts = append(plan.Parts, store.Part{
			No: i, Planned: true, Offset: part.Offset, Bytes: part.Bytes,
			FirstRow: part.Row, FirstLine: part.Line, Rows: part.Rows, Digest: part.Digest,
		})
	}
	return plan
}

// pinned identifies a bundle, so that a retry with another one is noticed.
func pinned(b *engine.Bundle) store.Model {
	return store.Model{Name: b.Name(), Version: b.Version(), SHA256: b.SHA256(), Engine: engine.Version}
}
