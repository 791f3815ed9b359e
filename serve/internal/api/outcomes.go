package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/ingest"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/health"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/customer"
)

// outcomesBody is the answer to an outcomes file.
type outcomesBody struct {
	RowCount      int64           `json:"row_count"`
	Matched       int64           `json:"matched"`
	Unmatched     int64           `json:"unmatched"`
	Rejected      int64           `json:"rejected"`
	RowsUpdated   int64           `json:"rows_updated"` // rows kept for retraining whose outcome has changed
	UnmatchedRows []int64         `json:"unmatched_rows"`
	Errors        []finding       `json:"errors"`
	ErrorsOmitted int64           `json:"errors_omitted"`
	Reports       []outcomeReport `json:"reports"`
}

// outcomeReport compares one model's predictions with the outcomes.
type outcomeReport struct {
	Model     string    `json:"model"`
	Version   string    `json:"model_version"`
	SHA256    string    `json:"model_sha256"`
	UpdatedAt time.Time `json:"updated_at"`
	engine.OutcomeReport
}

// postOutcomes receives a file with the outcomes of customers. A refused file changes nothing; the answer to an accepted
// one lists the rejected rows. Sending the same file again changes nothing.
func postOutcomes(s *server, r *request) error {
	file, err := r.openFile(s.UploadBytesMax)
	if err != nil {
		return err
	}
	leave, err := r.work(file.body, s.places.Scores)
	if err != nil {
		return err
	}
	defer leave()
	given := outcomesFile{customers: s.CustomerKey.Hasher(r.user.ID)}
	if err := given.read(s, r, file); err != nil {
		if broken := file.body.failed(); broken != nil {
			err = broken
		}
		return err
	}
	return s.recordOutcomes(r, &given)
}

// outcomesFile is a parsed outcomes file, held in memory: 40 bytes a row, for at most as many rows as an upload may have.
type outcomesFile struct {
	outcomesBody
	customers *customer.Hasher
	outcomes  []store.Outcome
	rows      []int64 // of the outcomes
}

func (f *outcomesFile) read(s *server, r *request, file *uploadFile) error {
	text, err := ingest.Unpack(file, s.UploadLimits)
	if err != nil {
		return err
	}
	header, rows, err := ingest.ReadHeader(text, s.UploadLimits)
	if err != nil {
		return err
	}
	f.Errors, f.UnmatchedRows, f.Reports = []finding{}, []int64{}, []outcomeReport{}
	in := engine.Input{Body: rows, Header: header, Start: header.Start(), Limits: s.UploadLimits}
	if f.RowCount, err = engine.ReadOutcomes(r.ctx, in, f.take, f.reject); err != nil {
		return err
	}
	return file.finish()
}

func (f *outcomesFile) take(o engine.Outcome) {
	f.outcomes = append(f.outcomes, store.Outcome{
		Customer: f.customers.Hash([]byte(o.ID)), Churned: o.Churned, On: o.On,
	})
	f.rows = append(f.rows, o.Row)
}

func (f *outcomesFile) reject(reject ingest.Reject) {
	if f.Rejected++; len(f.Errors) == findingsMax {
		f.ErrorsOmitted++
		return
	}
	f.Errors = append(f.Errors, newFinding(reject))
}

// outcomesTimeout bounds storing the outcomes of a file and making the reports.
const outcomesTimeout = time.Minute

func (s *server) recordOutcomes(r *request, f *outcomesFile) error {
	ctx, cancel := context.WithTimeout(r.ctx, outcomesTimeout)
	defer cancel()
	prove := func(m store.Model, rows []store.ObservedRow) (json.RawMessage, error) { return s.prove(ctx, m, rows) }
	done, err := s.Store.Predictions.RecordOutcomes(ctx, r.user.ID, f.outcomes,
		store.Reports{OfModel: prove, OfMonth: health.Sum})
	if err != nil {
		return storefault.ExplainAs(fault.CodeDatabase, err)
	}
	f.RowsUpdated = done.Changed
	f.match(done.Matched)
	names, err := s.modelNames(r.ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		reports, err := s.outcomeReports(r, name)
		if err != nil {
			return err
		}
		f.Reports = append(f.Reports, reports...)
	}
	return r.json(http.StatusOK, f.outcomesBody)
}

// match counts the rows of customers with rows kept for retraining, and lists the first of the others.
func (f *outcomesFile) match(customers []customer.Hash) {
	matched := make(map[customer.Hash]bool, len(customers))
	for _, c := range customers {
		matched[c] = true
	}
	for i, o := range f.outcomes {
		if matched[o.Customer] {
			f.Matched++
			continue
		}
		if f.Unmatched++; len(f.UnmatchedRows) < findingsMax {
			f.UnmatchedRows = append(f.UnmatchedRows, f.rows[i])
		}
	}
}

// prove makes the report that the store keeps. Bands of a model that cannot be had are named by number.
func (s *server) prove(ctx context.Context, m store.Model, rows []store.ObservedRow) (json.RawMessage, error) {
	customers := make([]engine.Observed, len(rows))
	top := int16(-1)
	for i, row := range rows {
		customers[i] = engine.Observed(row)
		top = max(top, row.Band)
	}
	b, err := s.pinned(ctx, m)
	if err != nil {
		return nil, err
	}
	bands := bandNames(b)
	for i := len(bands); i <= int(top); i++ {
		bands = append(bands, fmt.Sprintf("band %d", i+1))
	}
	return json.Marshal(engine.NewOutcomeReport(customers, bands))
}

// outcomeReports lists the reports on a model for the caller's own data, newest first.
func (s *server) outcomeReports(r *request, model string) ([]outcomeReport, error) {
	stored, err := s.Store.Predictions.OutcomeReports(r.ctx, r.user.ID, model)
	if err != nil {
		return nil, storefault.ExplainAs(fault.CodeDatabase, err)
	}
	list := make([]outcomeReport, len(stored))
	for i, o := range stored {
		list[i] = outcomeReport{
			Model: o.Model.Name, Version: o.Model.Version, SHA256: o.Model.SHA256, UpdatedAt: o.UpdatedAt,
		}
		if err := json.Unmarshal(o.Report, &list[i].OutcomeReport); err != nil {
			return nil, err
		}
	}
	return list, nil
}
