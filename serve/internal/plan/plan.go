// Package plan decides what an upload and a worker both need to know of a prediction: which model scores it, which parts
// its file has, and which options it was sent with. It also holds the bundles in use.
package plan

import (
	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/store"
)

// ErrModelWithdrawn says that the model which a prediction is pinned to is not loaded here.
var ErrModelWithdrawn = fault.Fail(fault.CodeModelWithdrawn, "")

// StoredPlan is a plan as the ledger keeps it, pinned to a bundle.
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
			FirstRow: part.Row, FirstLine: part.Line, Rows: part.Rows,
		})
	}
	return plan
}

// pinned names a bundle so that a retry with another one is noticed.
func pinned(b *engine.Bundle) store.Model {
	return store.Model{Name: b.Name(), Version: b.Version(), SHA256: b.SHA256(), Engine: engine.Version}
}

// ChooseModel finds the bundle that was asked for, or the one that the header was made for, and checks the header.
func ChooseModel(models *engine.Registry, name string, h ingest.Header) (*engine.Bundle, error) {
	if name == "" {
		return models.Choose(h)
	}
	b, ok := models.Get(name)
	if !ok {
		return nil, fault.Fail(fault.CodeUnknownModel, "")
	}
	if _, err := ingest.Map(b.Schema(), h); err != nil {
		return nil, err
	}
	return b, nil
}
